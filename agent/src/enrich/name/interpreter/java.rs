//! What a Java virtual machine runs: a stated name, a jar without its version, or a main class.
//!
//! Shape: arguments → name. Source: java(1) for the options that take a value; Maven's and Gradle's ways to name a jar.
use super::{Place, file_name, is_generic_file, option_value, positional};

/// Options whose value is the next argument.
const VALUES: &[&str] = &[
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--add-modules",
    "--add-opens",
    "--add-exports",
    "--add-reads",
    "--patch-module",
    "--upgrade-module-path",
    "--limit-modules",
    "--enable-native-access",
    "--source",
];
/// System properties by which a program states its own name.
const STATED: &[&str] = &["-Dotel.service.name", "-Dspring.application.name"];
/// Class names that every program has.
const GENERIC_CLASSES: &[&str] = &[
    "Main",
    "App",
    "Application",
    "Launcher",
    "JarLauncher",
    "WarLauncher",
    "PropertiesLauncher",
    "Server",
    "Start",
    "Boot",
];
/// Packages that launch somebody else's program.
const LAUNCHERS: &[(&str, &str)] = &[
    ("org.springframework.boot.loader", ""),
    ("org.apache.catalina.startup", "tomcat"),
    ("org.eclipse.jetty", "jetty"),
];

pub(super) fn name(args: &[String], place: Place<'_>) -> Option<String> {
    if let Some(stated) = option_value(own_options(args), STATED).filter(|name| !name.is_empty()) {
        return Some(stated.to_owned());
    }
    if let Some(module) = option_value(own_options(args), &["-m", "--module"]) {
        return Some(module.split('/').next().unwrap_or(module).to_owned());
    }
    let (first, _) = positional(args, VALUES, &[])?;
    if first.ends_with(".jar") || first.ends_with(".war") {
        return jar(first, place);
    }
    if first.ends_with(".java") {
        return place.of_path(first);
    }
    main_class(first, place)
}

/// Everything before the jar or class: what follows belongs to the program.
fn own_options(args: &[String]) -> &[String] {
    let mut end = 0;
    while let Some(arg) = args.get(end) {
        let takes_value = VALUES.contains(&arg.as_str()) || arg == "-m" || arg == "--module";
        if !arg.starts_with('-') {
            break;
        }
        end += if takes_value { 2 } else { 1 };
    }
    args.get(..end).unwrap_or(args)
}

/// `order-1.0-SNAPSHOT.jar` is `order`; `app.jar` is named by its folder.
fn jar(path: &str, place: Place<'_>) -> Option<String> {
    let stem = file_name(path).trim_end_matches(".jar").trim_end_matches(".war");
    let name = without_version(stem);
    if is_generic_file(name) { place.of_path(&path.replace(stem, name)) } else { Some(name.to_owned()) }
}

/// Cuts at the first `-` that a digit follows, and the classifiers of fat jars.
fn without_version(stem: &str) -> &str {
    let version = stem.match_indices('-').find(|(at, _)| {
        stem.get(at + 1..)
            .is_some_and(|rest| rest.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()))
    });
    let mut name = version.and_then(|(at, _)| stem.get(..at)).filter(|name| !name.is_empty()).unwrap_or(stem);
    for classifier in ["-SNAPSHOT", "-exec", "-all", "-fat", "-runner", "-boot", "-jar-with-dependencies"] {
        name = name.strip_suffix(classifier).unwrap_or(name);
    }
    name
}

/// `com.acme.order.OrderService` is `OrderService`, `com.acme.order.Main` is `order`.
fn main_class(class: &str, place: Place<'_>) -> Option<String> {
    for (package, product) in LAUNCHERS {
        if class.starts_with(package) {
            return Some((*product).to_owned()).filter(|name| !name.is_empty()).or_else(|| place.folder());
        }
    }
    let (package, simple) = class.rsplit_once('.').unwrap_or(("", class));
    if !GENERIC_CLASSES.contains(&simple) {
        return Some(simple.to_owned());
    }
    let last = package.rsplit('.').next().filter(|name| !name.is_empty() && !is_generic_file(name));
    last.map(str::to_owned).or_else(|| place.folder()).or_else(|| Some(simple.to_owned()))
}
