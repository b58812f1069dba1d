package truth;

import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import org.springframework.stereotype.Component;

/** Rows go to one file, a write each. Nothing in them needs to be escaped. */
@Component
public class Ledger {
    private final String service = System.getenv("SERVICE");
    private final long pid = ProcessHandle.current().pid();
    private final FileOutputStream file;

    Ledger() throws IOException {
        file = new FileOutputStream(Path.of(System.getenv("LEDGER"), service + "-" + pid + ".jsonl").toFile(), true);
    }

    /** Unix nanoseconds. */
    static long now() {
        return ChronoUnit.NANOS.between(Instant.EPOCH, Instant.now());
    }

    /** One row that ends now. */
    void write(String kind, String call, String parent, String path, int status, long start) {
        String id = kind.equals("server") ? call + "/s" : call;
        String row = String.format(
                "{\"id\":\"%s\",\"parent\":\"%s\",\"kind\":\"%s\",\"call\":\"%s\",\"service\":\"%s\",\"pid\":%d,"
                        + "\"method\":\"GET\",\"path\":\"%s\",\"status\":%d,\"start_ns\":%d,\"end_ns\":%d}%n",
                id, parent, kind, call, service, pid, path, status, start, now());
        try {
            file.write(row.getBytes(StandardCharsets.UTF_8));
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }
}
