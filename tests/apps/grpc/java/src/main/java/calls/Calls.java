package calls;

import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.InsecureServerCredentials;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.concurrent.TimeUnit;

/**
 * Calls over HTTP/2 without TLS, with grpc-java on Netty: {@code serve PORT}, {@code call PORT NAME} or {@code busy PORT SECONDS}. See
 * ../README.md.
 */
public final class Calls {
    private Calls() {}

    /** Messages are bytes as they are. */
    private static final class Raw implements MethodDescriptor.Marshaller<byte[]> {
        @Override
        public InputStream stream(byte[] message) {
            return new ByteArrayInputStream(message);
        }

        @Override
        public byte[] parse(InputStream stream) {
            try {
                return stream.readAllBytes();
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }

    static MethodDescriptor<byte[], byte[]> method(String name) {
        MethodType type = switch (name) {
            case "Down" -> MethodType.SERVER_STREAMING;
            case "Up" -> MethodType.CLIENT_STREAMING;
            case "Both" -> MethodType.BIDI_STREAMING;
            default -> MethodType.UNARY;
        };
        return MethodDescriptor.<byte[], byte[]>newBuilder(new Raw(), new Raw())
            .setType(type).setFullMethodName("t.Calls/" + name).build();
    }

    /** For pauses between messages: waits until so many of them have passed since the beginning, so that none adds up. */
    static void until(long begunNs, int pauses, long pauseMs) {
        long leftNs = begunNs + pauses * pauseMs * 1_000_000 - System.nanoTime();
        try {
            TimeUnit.NANOSECONDS.sleep(Math.max(0, leftNs));
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }

    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[1]);
        if (arguments[0].equals("serve")) {
            Grpc.newServerBuilderForPort(port, InsecureServerCredentials.create())
                .fallbackHandlerRegistry(new Service()).build().start().awaitTermination();
            return;
        }
        ManagedChannel channel =
            Grpc.newChannelBuilder("127.0.0.1:" + port, InsecureChannelCredentials.create()).build();
        if (arguments[0].equals("call")) {
            new Client(channel).call(arguments[2]);
        } else {
            new Client(channel).busy(Integer.parseInt(arguments[2]));
        }
        channel.shutdown().awaitTermination(5, TimeUnit.SECONDS);
        System.exit(0);
    }
}
