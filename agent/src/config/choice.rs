//! Values that are one of a few names.
//!
//! Shape: each enum is one list of variants and names; reading, showing and the "expected one of" come from it. Names are those of
//! the OpenTelemetry specification where it has some. Not here: what the choices do.
use super::value::{Dialect, Item, Knob};

macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// Every choice.
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            /// As it is written.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl Knob for $name {
            fn from_text(text: &str, _: Dialect) -> Result<$name, String> {
                let names: Vec<&str> = $name::ALL.iter().map(|choice| choice.name()).collect();
                let found = $name::ALL.iter().find(|choice| choice.name() == text).copied();
                found.ok_or_else(|| not_one_of(text, &names))
            }

            fn json(&self) -> serde_json::Value {
                self.name().into()
            }
        }

        impl Item for $name {}
    };
}

choice! {
    /// How socket calls are seen.
    Hook {
        /// The best that the kernel supports.
        Auto = "auto",
        /// tp_btf `sock_send_length` and `sock_recv_length`.
        Tracepoints = "tracepoints",
        /// fentry and fexit on `tcp_sendmsg` and `tcp_recvmsg`.
        Fentry = "fentry",
        /// kprobe and kretprobe on the same.
        Kprobe = "kprobe",
        /// Exits of system calls.
        Syscalls = "syscalls",
    }
}

choice! {
    /// Whether the agent runs in Kubernetes.
    InKubernetes {
        /// It does if it is told of an API server.
        Auto = "auto",
        /// It does.
        True = "true",
        /// It does not.
        False = "false",
    }
}

choice! {
    /// A way to read trace context: a value of `OTEL_PROPAGATORS`.
    Propagator {
        /// W3C Trace Context.
        TraceContext = "tracecontext",
        /// W3C Baggage: accepted, nothing is read from it.
        Baggage = "baggage",
        /// B3, in one header or several.
        B3 = "b3",
        /// The same: readers must take both.
        B3Multi = "b3multi",
        /// Jaeger.
        Jaeger = "jaeger",
        /// AWS X-Ray.
        XRay = "xray",
        /// No context is read.
        None = "none",
    }
}

choice! {
    /// How much of a query string leaves the node.
    Query {
        /// Nothing.
        Drop = "drop",
        /// Keys, every value redacted.
        Keys = "keys",
        /// Values too, except credentials.
        Values = "values",
    }
}

choice! {
    /// A value of `OTEL_TRACES_SAMPLER`.
    Sampler {
        /// Every trace.
        AlwaysOn = "always_on",
        /// No trace.
        AlwaysOff = "always_off",
        /// A share of all traces.
        TraceIdRatio = "traceidratio",
        /// The same, consistent with samplers elsewhere by tracestate.
        Probability = "probability",
        /// What the caller decided; every trace that begins here.
        ParentBasedAlwaysOn = "parentbased_always_on",
        /// What the caller decided; no trace that begins here.
        ParentBasedAlwaysOff = "parentbased_always_off",
        /// What the caller decided; a share of traces that begin here.
        ParentBasedTraceIdRatio = "parentbased_traceidratio",
        /// What the caller decided; a consistent share of traces that begin here.
        ParentBasedProbability = "parentbased_probability",
    }
}

choice! {
    /// Where spans go: a value of `OTEL_TRACES_EXPORTER` and `--exporter`.
    Exporter {
        /// A collector.
        Otlp = "otlp",
        /// A waterfall on stdout.
        Console = "console",
        /// OTLP/JSON lines on stdout.
        Json = "json",
        /// Nowhere.
        None = "none",
    }
}

choice! {
    /// How OTLP travels.
    Protocol {
        /// gRPC.
        Grpc = "grpc",
        /// Protobuf over HTTP.
        HttpProtobuf = "http/protobuf",
    }
}

choice! {
    /// How OTLP is compressed.
    Compression {
        /// gzip.
        Gzip = "gzip",
        /// Not at all.
        None = "none",
    }
}

fn not_one_of(text: &str, names: &[&str]) -> String {
    let likely = names.iter().map(|name| (strsim::jaro_winkler(text, name), name));
    let nearest =
        likely.max_by(|(one, _), (other, _)| one.total_cmp(other)).filter(|(likeness, _)| *likeness > 0.8);
    let hint = nearest.map(|(_, name)| format!(", did you mean `{name}`?")).unwrap_or_default();
    format!("expected one of {}, found `{text}`{hint}", names.join(", "))
}
