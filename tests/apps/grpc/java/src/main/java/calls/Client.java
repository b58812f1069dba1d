package calls;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** Who calls, and writes down each call on stdout. */
final class Client {
    private static final Metadata.Key<String> CALL = Metadata.Key.of("x-call", Metadata.ASCII_STRING_MARSHALLER);

    private final Channel channel;

    Client(Channel channel) {
        this.channel = channel;
    }

    private interface Send {
        void to(ClientCall<byte[], byte[]> call);
    }

    private void ledger(String id, String method, CallOptions options, Send send) {
        Instant now = Instant.now();
        long start = now.getEpochSecond() * 1_000_000_000L + now.getNano();
        long begun = System.nanoTime();
        CompletableFuture<Status> status = new CompletableFuture<>();
        ClientCall<byte[], byte[]> call = channel.newCall(Calls.method(method), options);
        Metadata fields = new Metadata();
        fields.put(CALL, id);
        call.start(new ClientCall.Listener<>() {
            @Override
            public void onMessage(byte[] message) {
                call.request(1);
            }

            @Override
            public void onClose(Status end, Metadata trailers) {
                status.complete(end);
            }
        }, fields);
        call.request(2);
        send.to(call);
        int code = status.join().getCode().value();
        long end = start + System.nanoTime() - begun;
        System.out.print(String.format(
            "{\"id\":\"%s\",\"method\":\"/t.Calls/%s\",\"status\":\"%d\",\"start\":%d,\"end\":%d}%n", id, method, code, start, end));
        System.out.flush();
    }

    private static Send one(String message) {
        return call -> {
            call.sendMessage(message.getBytes());
            call.halfClose();
        };
    }

    private static Send some(int count, int size, long pauseMs) {
        return call -> {
            long begun = System.nanoTime();
            for (int n = 1; n <= count; n++) {
                Calls.until(begun, n, pauseMs);
                call.sendMessage(new byte[size]);
            }
            call.halfClose();
        };
    }

    void call(String name) throws InterruptedException {
        CallOptions all = CallOptions.DEFAULT;
        ledger(name + "-warm1", "Unary", all, one("a"));
        ledger(name + "-warm2", "Both", all, some(2, 10, 0));
        together(List.of(
            () -> ledger(name + "-unary", "Unary", all, one("a")),
            () -> ledger(name + "-fail", "Unary", all, one("fail")),
            () -> ledger(name + "-none", "None", all, one("a")),
            () -> ledger(name + "-down", "Down", all, one("a")),
            () -> ledger(name + "-up", "Up", all, some(50, 1_000, 5)),
            () -> ledger(name + "-both", "Both", all, some(100, 1_000, 50)),
            () -> ledger(name + "-late", "Slow", all.withDeadlineAfter(300, TimeUnit.MILLISECONDS), one("a")),
            () -> ledger(name + "-cancelled", "Slow", all, call -> {
                one("a").to(call);
                Calls.until(System.nanoTime(), 1, 100);
                call.cancel("enough", null);
            })));
    }

    /** Four calls at a time, of ever more methods. */
    void busy(int seconds) throws InterruptedException {
        long begun = System.nanoTime();
        Consumer<Integer> worker = w -> {
            for (int n = 0; System.nanoTime() - begun < seconds * 1_000_000_000L; n++) {
                int elapsed = (int) ((System.nanoTime() - begun) / 1_000_000_000L);
                ThreadLocalRandom random = ThreadLocalRandom.current();
                String method = "M" + random.nextInt(Math.min(64, 8 + 8 * elapsed));
                String wait = Integer.toString(random.nextInt(5, 30));
                ledger("busy-" + w + "-" + n, method, CallOptions.DEFAULT, one(wait));
            }
        };
        together(List.of(() -> worker.accept(0), () -> worker.accept(1), () -> worker.accept(2), () -> worker.accept(3)));
    }

    private static void together(List<Runnable> work) throws InterruptedException {
        List<Thread> threads = new ArrayList<>();
        for (Runnable one : work) {
            threads.add(new Thread(one));
        }
        threads.forEach(Thread::start);
        for (Thread thread : threads) {
            thread.join();
        }
    }
}
