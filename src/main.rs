//! From a result to an exit code.

fn main() -> std::process::ExitCode {
    etui::cli::main()
}
