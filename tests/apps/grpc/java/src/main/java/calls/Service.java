package calls;

import io.grpc.HandlerRegistry;
import io.grpc.MethodDescriptor;
import io.grpc.ServerCallHandler;
import io.grpc.ServerMethodDefinition;
import io.grpc.Status;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;

/** Every method of the service. */
final class Service extends HandlerRegistry {
    @Override
    public ServerMethodDefinition<?, ?> lookupMethod(String full, String authority) {
        String name = full.substring(full.lastIndexOf('/') + 1);
        if (name.equals("None")) {
            return null;
        }
        MethodDescriptor<byte[], byte[]> method = Calls.method(name);
        ServerCallHandler<byte[], byte[]> handler = switch (name) {
            case "Down" -> ServerCalls.asyncServerStreamingCall(Service::down);
            case "Up" -> ServerCalls.asyncClientStreamingCall(Service::up);
            case "Both" -> ServerCalls.asyncBidiStreamingCall(Service::both);
            default -> ServerCalls.asyncUnaryCall((request, answer) -> unary(name, request, answer));
        };
        return ServerMethodDefinition.create(method, handler);
    }

    private static void unary(String name, byte[] request, StreamObserver<byte[]> answer) {
        String text = new String(request);
        if (text.equals("fail")) {
            answer.onError(Status.NOT_FOUND.withDescription("no").asRuntimeException());
            return;
        }
        long waitMs = name.equals("Slow") ? 2_000 : name.startsWith("M") ? Long.parseLong(text) : 0;
        Calls.until(System.nanoTime(), 1, waitMs);
        answer.onNext(request);
        answer.onCompleted();
    }

    private static void down(byte[] request, StreamObserver<byte[]> answer) {
        long begun = System.nanoTime();
        for (int n = 1; n <= 20; n++) {
            Calls.until(begun, n, 10);
            answer.onNext(new byte[100]);
        }
        answer.onCompleted();
    }

    private static StreamObserver<byte[]> up(StreamObserver<byte[]> answer) {
        return new StreamObserver<>() {
            private int sum;

            @Override
            public void onNext(byte[] message) {
                sum += message.length;
            }

            @Override
            public void onError(Throwable error) {}

            @Override
            public void onCompleted() {
                answer.onNext(Integer.toString(sum).getBytes());
                answer.onCompleted();
            }
        };
    }

    private static StreamObserver<byte[]> both(StreamObserver<byte[]> answer) {
        return new StreamObserver<>() {
            @Override
            public void onNext(byte[] message) {
                answer.onNext(message);
            }

            @Override
            public void onError(Throwable error) {}

            @Override
            public void onCompleted() {
                answer.onCompleted();
            }
        };
    }
}
