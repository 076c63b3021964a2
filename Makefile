# Everything a person does here. Each target is enough by itself on a fresh Debian machine with cargo:
# what is missing is installed first (which needs root; so do the tests and the demo).

PREFIX ?= /usr/local
DESTDIR ?=
# musl where it is there (scripts/target); make TARGET=x86_64-unknown-linux-gnu for glibc.
ifndef TARGET
TARGET := $(shell scripts/target)
endif
RELEASE = $(shell cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/$(TARGET)/release
export CARGO_BUILD_TARGET := $(TARGET)

.PHONY: build demo test check conformance conformance-page bench layout lab lab-full lab-shell install uninstall clean

build: ## The release: one static binary
	cargo build --release --locked
	@ls -l $(RELEASE)/etui

packages-of-%:
	@scripts/prepare $*

demo: packages-of-demo build ## A Python web service in a container, each command shown
	@ETUI=$(RELEASE)/etui examples/hello-python/demo

check: ## Formatting and lints
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

test: packages-of-test ## Everything: check, unit and behaviour tests, runtime-spec, integration in the lab
	@scripts/test

conformance: packages-of-test build ## runtime-spec 1.3.0, statement by statement; ARGS=--wrong shows that each test can fail
	@RUNTIME=$(RELEASE)/etui runtime-spec/run $(ARGS)

conformance-page: packages-of-test build ## docs/conformance.md, made anew (a quarter of an hour)
	@RUNTIME=$(RELEASE)/etui runtime-spec/page

# The peers are those of the lab's tree where that can be built: newer than Debian stable's.
BENCH = --rounds 3 --scale --write $$(tree=$$(integration/lab/tree) && echo --tree $$tree)

bench: packages-of-test ## etui beside crun, runc and the floor, as root, into docs/performance.md; make bench ARGS="--runs 10" only prints
	cargo bench --locked --bench runtimes -- $(if $(ARGS),$(ARGS),$(BENCH))

layout: packages-of-test ## Finds anew which functions every start runs, as root, for the linker to lay together (layout.ld)
	CARGO_PROFILE_BENCH_STRIP=false cargo bench --locked --bench runtimes -- --only --layout layout.ld

lab: packages-of-test build ## One integration test: make lab T=smoke
	@ETUI=$(RELEASE)/etui integration/run $(T)

lab-full: packages-of-test build ## What user-mode Linux lacks (cpuset, huge pages, two processors), emulated; half an hour. T=hardware for one
	@LAB=full ETUI=$(RELEASE)/etui integration/run $(T)

lab-shell: packages-of-test build ## A shell in the lab, etui in its PATH (F=systemd for systemd as process 1)
	@ETUI=$(RELEASE)/etui integration/lab/shell $(F)

install: build ## Binary, manual pages, completions: make install PREFIX=/usr/local
	install -D -m 0755 $(RELEASE)/etui $(DESTDIR)$(PREFIX)/bin/etui
	$(RELEASE)/etui man $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	$(RELEASE)/etui completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/etui
	$(RELEASE)/etui completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_etui
	$(RELEASE)/etui completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/etui.fish

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/etui $(DESTDIR)$(PREFIX)/share/man/man1/etui*.1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/etui $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_etui \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/etui.fish

clean:
	cargo clean
