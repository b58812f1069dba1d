import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.FileOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** The JDK's own server and client. First argument: a thread per request waits (blocking), or nothing does (async). */
public class Truth {
    private static final int[] DELAYS = {0, 1, 2, 5, 10, 20, 50, 100, 200, 500};
    private static final Map<Character, Integer> STATUSES = Map.of('2', 200, '4', 404, '5', 500);
    private static final String HEADER = "x-ledger-id";
    private static final String SERVICE = System.getenv("SERVICE");
    private static final long PID = ProcessHandle.current().pid();
    private static final String[] PEERS = System.getenv("PEERS").split(",");

    private final FileOutputStream file;
    private final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    Truth() throws IOException {
        file = new FileOutputStream(Path.of(System.getenv("LEDGER"), SERVICE + "-" + PID + ".jsonl").toFile(), true);
    }

    /** Starts it. */
    public static void main(String[] arguments) throws IOException {
        Truth truth = new Truth();
        HttpServer server =
                HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(System.getenv("PORT"))), 2048);
        boolean blocks = arguments[0].equals("blocking");
        server.setExecutor(blocks ? Executors.newCachedThreadPool() : Executors.newFixedThreadPool(4));
        server.createContext("/t/", exchange -> truth.handle(exchange, blocks));
        server.start();
    }

    private void handle(HttpExchange exchange, boolean blocks) {
        long start = now();
        String text = exchange.getRequestURI().getPath().substring("/t/".length());
        String inbound = exchange.getRequestHeaders().getFirst(HEADER);
        boolean late = "SP".indexOf(text.charAt(1)) >= 0;
        boolean parallel = "pP".indexOf(text.charAt(1)) >= 0;
        int delay = DELAYS[text.charAt(2) - '0'];
        List<String> plans = plans(text);
        CompletableFuture<Void> all = rest(late ? 0 : delay, blocks);
        if (parallel) {
            all = all.thenCompose(done -> {
                List<CompletableFuture<Void>> calls = new ArrayList<>();
                for (int n = 0; n < plans.size(); n++) {
                    calls.add(fetch(inbound, n, plans.get(n), false));
                }
                return CompletableFuture.allOf(calls.toArray(new CompletableFuture<?>[0]));
            });
        } else {
            for (int n = 0; n < plans.size(); n++) {
                int number = n;
                all = all.thenCompose(done -> fetch(inbound, number, plans.get(number), blocks));
            }
        }
        CompletableFuture<Void> answered = all.thenCompose(done -> rest(late ? delay : 0, blocks))
                .thenAccept(done -> answer(exchange, text, inbound, start));
        if (blocks) {
            answered.join();
        }
    }

    private void answer(HttpExchange exchange, String text, String inbound, long start) {
        int status = STATUSES.get(text.charAt(3));
        write("server", inbound, inbound, "/t/" + text, status, start);
        byte[] body = "done".getBytes(StandardCharsets.UTF_8);
        try (exchange) {
            exchange.sendResponseHeaders(status, body.length);
            exchange.getResponseBody().write(body);
        } catch (IOException error) {
            // Whoever asked has gone.
        }
    }

    private CompletableFuture<Void> rest(int delay, boolean blocks) {
        if (delay == 0) {
            return CompletableFuture.completedFuture(null);
        }
        Executor later = CompletableFuture.delayedExecutor(delay, TimeUnit.MILLISECONDS);
        CompletableFuture<Void> rested = CompletableFuture.runAsync(() -> {}, later);
        if (blocks) {
            rested.join();
            return CompletableFuture.completedFuture(null);
        }
        return rested;
    }

    private CompletableFuture<Void> fetch(String inbound, int number, String plan, boolean blocks) {
        String call = inbound + "." + number;
        String path = "/t/" + plan;
        long start = now();
        HttpRequest request = HttpRequest.newBuilder(URI.create(PEERS[plan.charAt(0) - '0'] + path))
                .header(HEADER, call)
                .build();
        if (blocks) {
            int status = 0;
            try {
                status = client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode();
            } catch (IOException | InterruptedException error) {
                // A call without an answer has status 0.
            }
            write("client", call, inbound + "/s", path, status, start);
            return CompletableFuture.completedFuture(null);
        }
        return client.sendAsync(request, HttpResponse.BodyHandlers.ofString())
                .handle((answer, error) -> answer == null ? 0 : answer.statusCode())
                .thenAccept(status -> write("client", call, inbound + "/s", path, status, start));
    }

    /** The plans of a request's calls, as text. */
    private static List<String> plans(String text) {
        List<String> plans = new ArrayList<>();
        int at = 5;
        for (int n = 0; n < text.charAt(4) - '0'; n++) {
            int next = end(text, at);
            plans.add(text.substring(at, next));
            at = next;
        }
        return plans;
    }

    private static int end(String text, int at) {
        int calls = text.charAt(at + 4) - '0';
        at += 5;
        for (int n = 0; n < calls; n++) {
            at = end(text, at);
        }
        return at;
    }

    private static long now() {
        return ChronoUnit.NANOS.between(Instant.EPOCH, Instant.now());
    }

    /** One row that ends now, with one write. Nothing in it needs to be escaped. */
    private void write(String kind, String call, String parent, String path, int status, long start) {
        String id = kind.equals("server") ? call + "/s" : call;
        String row = String.format(
                "{\"id\":\"%s\",\"parent\":\"%s\",\"kind\":\"%s\",\"call\":\"%s\",\"service\":\"%s\",\"pid\":%d,"
                        + "\"method\":\"GET\",\"path\":\"%s\",\"status\":%d,\"start_ns\":%d,\"end_ns\":%d}%n",
                id, parent, kind, call, SERVICE, PID, path, status, start, now());
        try {
            file.write(row.getBytes(StandardCharsets.UTF_8));
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }
}
