//! What an interpreter interprets, found behind its own options.
//!
//! Shape: runtime + arguments → name, or `None` (interactive, `-c`, a title that says nothing).
//! Source: each interpreter's manual for which options take a value. Not here: Java (see `java`).
mod java;

use super::{Place, Runtime, file_name, is_generic_file, without_extension};

/// Programs that run somebody else's program and take it as `module:object`.
const PYTHON_LAUNCHERS: &[&str] = &[
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "daphne",
    "granian",
    "waitress-serve",
    "waitress",
    "flask",
    "celery",
    "fastapi",
    "dramatiq",
];
/// Programs that serve the application in the working directory.
const RUBY_LAUNCHERS: &[&str] = &[
    "rails",
    "puma",
    "pumactl",
    "unicorn",
    "unicorn_rails",
    "rackup",
    "thin",
    "sidekiq",
    "bundle",
    "rake",
    "falcon",
    "spring",
    "passenger",
];
/// Options of node whose value is the next argument.
const NODE_VALUES: &[&str] = &[
    "-r",
    "--require",
    "--import",
    "--loader",
    "--experimental-loader",
    "-C",
    "--conditions",
    "--env-file",
    "--env-file-if-exists",
    "--title",
    "--icu-data-dir",
    "--input-type",
    "--openssl-config",
    "--watch-path",
    "--inspect-port",
    "--diagnostic-dir",
    "--redirect-warnings",
    "--max-http-header-size",
    "--stack-trace-limit",
];

pub(super) fn name(runtime: Runtime, args: &[String], place: Place<'_>) -> Option<String> {
    let (zeroth, args) = args.split_first()?;
    if args.is_empty() && zeroth.contains(' ') {
        return title(zeroth);
    }
    match runtime {
        Runtime::Python | Runtime::PyPy => python(args, place),
        Runtime::Node => node(args, place),
        Runtime::Java => java::name(args, place),
        Runtime::Ruby => ruby(args, place),
        Runtime::Php => php(args, place),
        Runtime::Perl => script(args, &["-I", "-M"], &["-e", "-E"], place),
        Runtime::Deno | Runtime::Bun => subcommand(args, place),
        Runtime::Dotnet => dotnet(args),
        Runtime::Beam | Runtime::Go => None,
    }
}

/// Is this the name of something that runs any application?
pub(super) fn is_launcher(name: &str) -> bool {
    PYTHON_LAUNCHERS.contains(&name) || RUBY_LAUNCHERS.contains(&name)
}

/// Servers that rename themselves put what they serve in brackets: `gunicorn: worker [shop.wsgi:app]`, `puma 6 (…) [shop]`.
fn title(title: &str) -> Option<String> {
    let (_, inside) = title.strip_suffix(']')?.rsplit_once('[')?;
    if let Some(module) = module_of(inside) {
        return first_telling(module);
    }
    (!inside.is_empty() && inside.chars().all(|c| c.is_alphanumeric() || "._-".contains(c)))
        .then(|| inside.to_owned())
}

/// The first positional argument as a script; options in `values` take the next argument, those in `code` mean there is no script.
fn script(args: &[String], values: &[&str], code: &[&str], place: Place<'_>) -> Option<String> {
    place.of_path(positional(args, values, code)?.0)
}

/// The first positional argument and what follows it.
fn positional<'a>(args: &'a [String], values: &[&str], code: &[&str]) -> Option<(&'a str, &'a [String])> {
    let mut rest = args;
    while let Some((arg, after)) = rest.split_first() {
        if code.contains(&arg.as_str()) || arg == "-" {
            return None;
        }
        if !arg.starts_with('-') {
            return Some((arg, after));
        }
        rest = if values.contains(&arg.as_str()) { after.get(1..).unwrap_or_default() } else { after };
    }
    None
}

/// `python [-bBdEhiIOPqRsSuvVWx?] [-c command | -m module | script]`: single letters cluster, as in `-um flask`.
fn python(args: &[String], place: Place<'_>) -> Option<String> {
    let mut rest = args;
    while let Some((arg, after)) = rest.split_first() {
        rest = after;
        if arg == "--check-hash-based-pycs" {
            rest = after.get(1..).unwrap_or_default();
            continue;
        }
        let Some(letters) = arg.strip_prefix('-') else { return python_script(arg, after, place) };
        if letters.is_empty() || letters.starts_with('c') {
            return None;
        }
        let Some(at) = letters.find(['m', 'c', 'W', 'X']).filter(|_| !letters.starts_with('-')) else {
            continue;
        };
        let (_, option) = letters.split_at(at);
        let mut option = option.chars();
        let letter = option.next();
        let attached = Some(option.as_str()).filter(|value| !value.is_empty());
        let (value, after) = match attached {
            Some(value) => (value, after),
            None => after.split_first().map(|(value, after)| (value.as_str(), after))?,
        };
        match letter {
            Some('m') => return python_module(value, after, place),
            Some('c') => return None,
            _ => rest = after,
        }
    }
    None
}

fn python_script(path: &str, after: &[String], place: Place<'_>) -> Option<String> {
    let stem = without_extension(file_name(path));
    if PYTHON_LAUNCHERS.contains(&stem) {
        return python_launcher(stem, after, place);
    }
    place.of_path(path)
}

/// `python -m http.server` is `http.server`, `-m shop.main` is `shop`.
fn python_module(module: &str, after: &[String], place: Place<'_>) -> Option<String> {
    let first = module.split('.').next().unwrap_or(module);
    if PYTHON_LAUNCHERS.contains(&first) {
        return python_launcher(first, after, place);
    }
    let mut telling = module;
    while let Some((above, last)) = telling.rsplit_once('.') {
        if !matches!(last, "__main__" | "main" | "app" | "wsgi" | "asgi" | "run" | "cli") {
            break;
        }
        telling = above;
    }
    if is_generic_file(telling) {
        place.folder().or_else(|| Some(telling.to_owned()))
    } else {
        Some(telling.to_owned())
    }
}

/// The application behind a launcher, else the folder it works in, else the launcher.
fn python_launcher(launcher: &str, args: &[String], place: Place<'_>) -> Option<String> {
    let stated = match launcher {
        "flask" | "celery" => option_value(args, &["--app", "-A"]).map(|app| module_of(app).unwrap_or(app)),
        "fastapi" => args.iter().map(String::as_str).find(|arg| arg.ends_with(".py")),
        _ => args
            .iter()
            .find_map(|arg| module_of(arg))
            .or_else(|| args.iter().find_map(|arg| bare_module(arg))),
    };
    let name = match stated {
        Some(path) if path.contains('/') || path.ends_with(".py") => {
            place.of_path(path).filter(|name| !is_generic_file(name))
        }
        Some(module) => first_telling(module),
        None => None,
    };
    name.or_else(|| place.folder()).or_else(|| Some(launcher.to_owned()))
}

/// The package: the first component, if it says something.
fn first_telling(module: &str) -> Option<String> {
    let first = module.split('.').next()?;
    (!is_generic_file(first)).then(|| first.to_owned())
}

/// The module of `package.module:object` or `package.module:factory()`; addresses (`localhost:80`, `unix:/run/x`) are not.
fn module_of(arg: &str) -> Option<&str> {
    let (module, object) = arg.split_once(':')?;
    let object = object.split('(').next().unwrap_or(object);
    (is_dotted(module) && is_dotted(object)).then_some(module)
}

/// `gunicorn shop.wsgi`: the object may be left out.
fn bare_module(arg: &str) -> Option<&str> {
    let (_, last) = arg.rsplit_once('.')?;
    (is_dotted(arg) && matches!(last, "wsgi" | "asgi" | "app" | "main")).then_some(arg)
}

fn is_dotted(text: &str) -> bool {
    let is_identifier = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    text.split('.').all(is_identifier)
}

/// The value of `--name value`, `--name=value` or `-n value`.
fn option_value<'a>(args: &'a [String], names: &[&str]) -> Option<&'a str> {
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if names.contains(&arg.as_str()) {
            return rest.next().map(String::as_str);
        }
        if let Some((name, value)) = arg.split_once('=')
            && names.contains(&name)
        {
            return Some(value);
        }
    }
    None
}

/// A file under `node_modules` is a tool: the service is the project around it, or the tool itself if it is installed globally.
fn node(args: &[String], place: Place<'_>) -> Option<String> {
    let (path, _) = positional(args, NODE_VALUES, &["-e", "--eval", "-p", "--print", "-pe"])?;
    let absolute = place.absolute(path);
    let Some((project, tool)) = absolute.split_once("/node_modules/") else { return place.of_path(path) };
    let of_project = (!project.starts_with("/usr/")).then(|| super::nearest_folder(project)).flatten();
    let tool = tool.strip_prefix(".bin/").unwrap_or(tool);
    of_project.or_else(|| tool.split('/').find(|part| !part.starts_with('@')).map(str::to_owned))
}

fn ruby(args: &[String], place: Place<'_>) -> Option<String> {
    let (path, _) = positional(args, &["-I", "-r", "-C", "-E"], &["-e"])?;
    let stem = without_extension(file_name(path));
    if RUBY_LAUNCHERS.contains(&stem) {
        return place.folder().or_else(|| Some(stem.to_owned()));
    }
    place.of_path(path)
}

/// `php -S localhost:8000 -t public` has no script: the served folder names it.
fn php(args: &[String], place: Place<'_>) -> Option<String> {
    if let Some(file) = option_value(args, &["-f", "--file"]) {
        return place.of_path(file);
    }
    let values = ["-S", "-t", "-d", "-c", "-z", "--docroot", "--server", "--define", "--php-ini"];
    let named = script(args, &values, &["-r", "--run"], place);
    if named.is_some() || option_value(args, &["-S", "--server"]).is_none() {
        return named;
    }
    let served = option_value(args, &["-t", "--docroot"]).map(|folder| place.absolute(folder));
    served.as_deref().and_then(super::nearest_folder).or_else(|| place.folder())
}

/// `bun run src/index.ts`, `deno serve main.ts`: the first argument with an extension.
fn subcommand(args: &[String], place: Place<'_>) -> Option<String> {
    let path = args
        .iter()
        .find(|arg| !arg.starts_with('-') && without_extension(file_name(arg)).len() < file_name(arg).len());
    path.and_then(|path| place.of_path(path)).or_else(|| place.folder())
}

fn dotnet(args: &[String]) -> Option<String> {
    args.iter().find_map(|arg| file_name(arg).strip_suffix(".dll")).map(str::to_owned)
}
