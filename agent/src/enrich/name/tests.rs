//! What a service is called, as a table.
use super::*;
use crate::enrich::{Container, Engine, Named, runtime::Runtime};
use wirespan_core::event::ProcessId;

fn facts(exe: &str, cwd: &str, command: &str) -> ProcessFacts {
    let args = command.split_whitespace().map(str::to_owned).collect();
    let id = ProcessId { pid: 7, start_ticks: 1 };
    let cwd = Some(cwd.to_owned()).filter(|cwd| !cwd.is_empty());
    ProcessFacts { cwd, ..ProcessFacts::from_exec(id, exe.to_owned(), args, None) }
}

/// One row: executable, working directory, command line → name.
fn check(rows: &[(&str, &str, &str, &str)]) {
    for (exe, cwd, command, expected) in rows {
        let name = service_name(&facts(exe, cwd, command), None, None);
        assert_eq!(&name, expected, "{command} in {cwd:?}");
    }
}

#[test]
fn a_python_program_is_named_by_its_script_module_or_folder() {
    let exe = "/usr/bin/python3.11";
    check(&[
        (exe, "/", "python3 /srv/orders/orders.py", "orders"),
        (exe, "/", "python3 -u -W ignore -Xdev /srv/orders/app.py --port 1", "orders"),
        (exe, "/srv/product", "python3 app.py", "product"),
        (exe, "/srv/product", "python3 src/main.py", "product"),
        (exe, "/app", "python3 app/server.py", "server"),
        (exe, "/srv/shop", "python3 manage.py runserver", "shop"),
        (exe, "/", "python3 -m http.server 8000", "http.server"),
        (exe, "/", "python3 -um shop.main", "shop"),
        (exe, "/", "python3 -m shop.worker", "shop.worker"),
        (exe, "/srv/billing", "python3 -m app", "billing"),
        (exe, "/srv/product", "python3 -m flask run --port 5000", "product"),
        (exe, "/app", "python3 -m flask run", "flask"),
        (exe, "/", "python3 -m flask --app=ledger run", "ledger"),
        (exe, "/srv/x", "python3 /usr/bin/flask --app hello.app run", "hello"),
        (exe, "/", "/usr/bin/python3 /usr/bin/gunicorn -b 0.0.0.0:80 -w 4 shop.web:app", "shop"),
        (exe, "/", "python3 /usr/bin/gunicorn --bind unix:/run/s.sock shop.wsgi", "shop"),
        (exe, "/srv/pay", "python3 -m uvicorn main:create_app() --host localhost", "pay"),
        (exe, "/app", "python3 -m uvicorn main:app", "uvicorn"),
        (exe, "/", "python3 -m celery -A tasks worker", "tasks"),
        (exe, "/", "python3 -c print('secret')", "python"),
        (exe, "/", "python3", "python"),
        ("/opt/pypy/bin/pypy3", "/", "pypy3 /srv/w/api.py", "api"),
    ]);
}

#[test]
fn a_node_program_is_named_by_its_script_or_project() {
    let exe = "/usr/bin/node";
    check(&[
        (exe, "/", "node /srv/frontend/server.js", "frontend"),
        (
            exe,
            "/srv/frontend",
            "node --require ./tracing.js --max-old-space-size=64 dist/index.js",
            "frontend",
        ),
        (exe, "/srv/cart", "node bin/www", "cart"),
        (exe, "/srv/cart", "node checkout.mjs", "checkout"),
        (exe, "/", "node /srv/site/node_modules/.bin/next start", "site"),
        (exe, "/", "node /usr/lib/node_modules/verdaccio/bin/verdaccio", "verdaccio"),
        (exe, "/", "node -e code", "node"),
        (exe, "/app", "node server.js", "server"),
    ]);
}

#[test]
fn a_java_program_is_named_by_its_jar_or_main_class() {
    let exe = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java";
    check(&[
        (exe, "/", "java -Xmx64m -jar /srv/order-1.0.jar --server.port=1", "order"),
        (exe, "/", "java -jar order-service-2.3.1-SNAPSHOT-exec.jar", "order-service"),
        (exe, "/", "java -jar order-SNAPSHOT.jar", "order"),
        (exe, "/srv/order", "java -jar target/app.jar", "order"),
        (exe, "/", "java -jar /app.jar", "app"),
        (exe, "/", "java -cp a.jar:b.jar com.acme.order.Main", "order"),
        (exe, "/", "java -cp a.jar com.acme.OrderService x", "OrderService"),
        (exe, "/srv/order", "java -cp . Main", "order"),
        (exe, "/srv/order", "java org.springframework.boot.loader.launch.JarLauncher", "order"),
        (exe, "/", "java -Dspring.application.name=ledger -jar x.jar", "ledger"),
        (exe, "/", "java -jar x.jar -Dspring.application.name=ledger", "x"),
        (exe, "/", "java -p mods -m com.acme.stock/com.acme.stock.Main", "com.acme.stock"),
        (exe, "/", "java -classpath bootstrap.jar org.apache.catalina.startup.Bootstrap start", "tomcat"),
    ]);
}

#[test]
fn other_interpreters_are_named_by_what_they_run() {
    check(&[
        ("/usr/bin/ruby3.1", "/srv/blog", "ruby3.1 bin/rails server", "blog"),
        ("/usr/bin/ruby3.1", "/", "ruby -r bundler/setup /srv/mailer.rb", "mailer"),
        ("/usr/bin/php8.2", "/srv/shop", "php artisan serve", "shop"),
        ("/usr/bin/php8.2", "/srv/shop", "php -S localhost:8000 -t public", "shop"),
        ("/usr/sbin/php-fpm8.2", "/", "php-fpm8.2 -F", "php-fpm"),
        ("/usr/bin/perl", "/", "perl -I lib /srv/report.pl", "report"),
        ("/usr/bin/dotnet", "/app", "dotnet Stock.dll", "Stock"),
        ("/usr/bin/bun", "/srv/api", "bun run src/index.ts", "api"),
        ("/usr/bin/deno", "/srv/api", "deno run -A quotes.ts", "quotes"),
    ]);
}

#[test]
fn a_native_program_is_named_by_its_executable() {
    check(&[
        ("/usr/sbin/nginx", "/", "nginx -g off", "nginx"),
        ("/srv/inventory", "/", "./inventory -secret x", "inventory"),
        ("/opt/v1.2/tool-1.2", "/", "tool", "tool-1.2"),
        ("", "/", "", "pid-7"),
    ]);
}

#[test]
fn a_title_that_a_server_gave_itself_is_read_in_its_brackets() {
    let titled = |exe: &str, title: &str| ProcessFacts { args: vec![title.into()], ..facts(exe, "/", "x") };
    let name = |facts: &ProcessFacts| service_name(facts, None, None);
    assert_eq!(name(&titled("/usr/bin/python3", "gunicorn: worker [shop.wsgi:app]")), "shop");
    assert_eq!(name(&titled("/usr/bin/ruby3.1", "puma 5.6.5 (tcp://0.0.0.0:3000) [blog]")), "blog");
    assert_eq!(name(&titled("/usr/bin/python3", "celeryd: idle and waiting")), "python");
}

#[test]
fn an_interpreter_whose_program_says_nothing_is_named_by_what_is_around_it() {
    let named = |image: &str, service: Option<&str>| Named {
        image: Some(image.into()),
        service: service.map(str::to_owned),
        ..Named::default()
    };
    let within = |named| {
        Some(Container { id: "x".into(), engine: Some(Engine::Docker), pod_uid: None, named: Some(named) })
    };
    let check = |exe: &str, command: &str, unit: &str, named: Option<Named>, expected: &str| {
        let unit = Some(unit.to_owned()).filter(|unit| !unit.is_empty());
        let facts = ProcessFacts { unit, container: named.and_then(within), ..facts(exe, "/app", command) };
        assert_eq!(service_name(&facts, None, None), expected, "{command} in {:?}", facts.unit);
    };
    let (python, node) = ("/usr/bin/python3.11", "/usr/local/bin/node");
    check(python, "python3 app.py", "orders.service", None, "orders");
    check(python, "python3 -m uvicorn main:app", "orders@2.service", None, "orders");
    check(python, "python3 -m uvicorn main:app", "gunicorn@shop.service", None, "gunicorn@shop");
    check(python, "python3 /srv/cart/cart.py", "orders.service", None, "cart");
    check(python, "python3 app.py", "cron.service", None, "app");
    check(node, "node server.js", "", Some(named("ghcr.io/acme/cart", None)), "cart");
    check(node, "node cart.js", "", Some(named("node", None)), "cart");
    check(node, "node", "web.service", Some(named("acme/site", None)), "web");
    check("/usr/sbin/nginx", "nginx", "edge.service", Some(named("acme/site", None)), "nginx");
    check("/usr/lib/postgresql/15/bin/postgres", "postgres", "", Some(named("postgres", Some("db"))), "db");
    check(node, "node cart.js", "", Some(named("node", Some("basket"))), "basket");
}

#[test]
fn what_the_process_says_of_itself_beats_what_the_agent_says_and_that_beats_a_guess() {
    let guessed = facts("/usr/sbin/nginx", "/", "nginx");
    let own = ProcessFacts { otel_service_name: Some(" edge \n".into()), ..guessed.clone() };
    assert_eq!(service_name(&own, Some("attributes"), Some("agent")), "edge");
    assert_eq!(service_name(&guessed, Some("attributes"), Some("agent")), "attributes");
    assert_eq!(service_name(&guessed, None, Some("agent")), "agent");
    assert_eq!(service_name(&guessed, None, Some("")), "nginx");
}

#[test]
fn no_argument_of_any_shape_panics_or_makes_a_long_name() {
    let odd = [
        "",
        "-",
        "--",
        "-m",
        "-W",
        "-X",
        "-jar",
        "-cp",
        ":",
        "a:",
        ":b",
        ".",
        "..",
        "/",
        "[",
        "]",
        " [a:b]",
        "é:é",
        "-é",
        "x".repeat(9000).leak(),
    ];
    let runtimes = ["python3", "node", "java", "ruby", "php", "perl", "deno", "dotnet", "beam.smp"];
    for exe in runtimes {
        for a in odd {
            for b in odd {
                let mut facts = facts(exe, "relative", "");
                facts.args = vec![exe.into(), a.into(), b.into()];
                assert!(service_name(&facts, None, None).chars().count() <= NAME_CHARS);
                facts.args = vec![format!("{a} {b}")];
                assert!(!service_name(&facts, None, None).is_empty());
            }
        }
    }
    assert_eq!(facts("node", "/", "").runtime, Some(Runtime::Node));
}
