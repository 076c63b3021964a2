//! One source file, read for what the rules ask about: its imports, functions, `unsafe`.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// What the rules need to know about a file.
pub struct Source {
    /// Below the crate's root, as `src/kernel/mounts/mod.rs`.
    pub path: String,
    /// As `["kernel", "mounts"]`; `main.rs` is `["main"]`, `lib.rs` is empty.
    pub module: Vec<String>,
    pub lines: usize,
    pub documented: bool,
    /// Absolute paths that code outside of `#[cfg(test)]` names, without `crate`.
    pub imports: Vec<Vec<String>>,
    /// Name, first line, number of lines.
    pub functions: Vec<(String, usize, usize)>,
    /// The lines with `unsafe`.
    pub unsafes: Vec<usize>,
}

impl Source {
    pub fn parse(path: &str, text: &str) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let module = module_of(path);
        let mut reader = Reader { scope: module.clone(), ..Reader::default() };
        reader.visit_file(&file);
        Self {
            path: path.to_owned(),
            module,
            lines: text.lines().count(),
            documented: file.attrs.iter().any(|attribute| attribute.path().is_ident("doc")),
            imports: reader.imports,
            functions: reader.functions,
            unsafes: reader.unsafes,
        }
    }
}

fn module_of(path: &str) -> Vec<String> {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
    inner.split('/').filter(|part| !["mod", "lib"].contains(part)).map(str::to_owned).collect()
}

#[derive(Default)]
struct Reader {
    /// The module whose items are being visited.
    scope: Vec<String>,
    /// Depth of `#[cfg(test)]` modules.
    in_tests: usize,
    imports: Vec<Vec<String>>,
    functions: Vec<(String, usize, usize)>,
    unsafes: Vec<usize>,
}

impl Reader {
    fn import(&mut self, segments: &[String]) {
        if self.in_tests > 0 {
            return;
        }
        if let Some(absolute) = self.absolute(segments) {
            self.imports.push(absolute);
        }
    }

    /// Resolves `crate::`, `super::`, `self::` (and `etui::` in the binary); other paths leave the crate.
    fn absolute(&self, segments: &[String]) -> Option<Vec<String>> {
        let mut base = self.scope.clone();
        let mut rest = segments;
        match segments.first()?.as_str() {
            "crate" => base.clear(),
            "etui" if self.scope.first().is_some_and(|module| module == "main") => base.clear(),
            "self" => {}
            "super" => {
                base.pop();
            }
            _ => return None,
        }
        rest = &rest[1..];
        while rest.first().is_some_and(|segment| segment == "super") {
            base.pop();
            rest = &rest[1..];
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    fn use_tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let with = |ident: &syn::Ident| [prefix, &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.use_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.import(&with(&name.ident)),
            syn::UseTree::Rename(name) => self.import(&with(&name.ident)),
            syn::UseTree::Glob(_) => self.import(prefix),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.use_tree(prefix, item));
            }
        }
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.span().start().line;
        let last = block.span().end().line;
        self.functions.push((signature.ident.to_string(), first, last - first + 1));
        self.note_unsafe(signature.unsafety.as_ref());
    }

    fn note_unsafe(&mut self, token: Option<&syn::token::Unsafe>) {
        self.unsafes.extend(token.map(|token| token.span.start().line));
    }

    /// Macro arguments are only tokens: paths and `unsafe` are looked for in their text.
    fn tokens(&mut self, text: &str, line: usize) {
        let words: Vec<_> =
            text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').collect();
        if words.contains(&"unsafe") {
            self.unsafes.push(line);
        }
        let joined = text.replace(" :: ", "::");
        for start in ["crate::", "super::"].iter().flat_map(|start| joined.match_indices(start)) {
            let path: String = joined[start.0..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':')
                .collect();
            let segments: Vec<_> = path.split("::").map(str::to_owned).collect();
            self.import(&segments);
        }
    }
}

fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|ident| ident == "test")
    })
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let tests = usize::from(is_test_only(&item.attrs));
        self.in_tests += tests;
        self.scope.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.scope.pop();
        self.in_tests -= tests;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test_only(&item.attrs) {
            self.use_tree(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.import(&segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(&item.tokens.to_string(), item.span().start().line);
        visit::visit_macro(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        match &item.default {
            Some(block) => self.function(&item.sig, block),
            None => self.note_unsafe(item.sig.unsafety.as_ref()),
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_expr_unsafe(&mut self, item: &'ast syn::ExprUnsafe) {
        self.note_unsafe(Some(&item.unsafe_token));
        visit::visit_expr_unsafe(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.note_unsafe(item.unsafety.as_ref());
        visit::visit_item_impl(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.note_unsafe(item.unsafety.as_ref());
        visit::visit_item_trait(self, item);
    }

    fn visit_item_foreign_mod(&mut self, item: &'ast syn::ItemForeignMod) {
        self.unsafes.push(item.span().start().line);
        visit::visit_item_foreign_mod(self, item);
    }
}
