package truth;

import java.io.IOException;
import java.util.Map;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.ResponseEntity;
import org.springframework.http.client.SimpleClientHttpRequestFactory;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.client.ResourceAccessException;
import org.springframework.web.client.RestTemplate;
import org.springframework.http.HttpEntity;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpMethod;
import org.springframework.http.client.ClientHttpResponse;
import org.springframework.web.client.ResponseErrorHandler;

/** Does what a plan says (see tests/src/truth/plan.rs), with RestTemplate over HttpURLConnection and its kept connections. */
@RestController
public class Plans {
    private static final int[] DELAYS = {0, 1, 2, 5, 10, 20, 50, 100, 200, 500};
    private static final Map<Character, Integer> STATUSES = Map.of('2', 200, '4', 404, '5', 500);
    private static final String HEADER = "x-ledger-id";

    private final String[] peers = System.getenv("PEERS").split(",");
    private final RestTemplate client = new RestTemplate(new SimpleClientHttpRequestFactory());
    private final Ledger ledger;

    Plans(Ledger ledger) {
        this.ledger = ledger;
        client.setErrorHandler(new ResponseErrorHandler() {
            @Override
            public boolean hasError(ClientHttpResponse response) throws IOException {
                return false;
            }
        });
    }

    @GetMapping("/t/{text}")
    ResponseEntity<String> handle(@PathVariable String text, @RequestHeader(HEADER) String call)
            throws InterruptedException {
        long start = Ledger.now();
        boolean late = text.charAt(1) == 'S' || text.charAt(1) == 'P';
        int delay = DELAYS[text.charAt(2) - '0'];
        int status = STATUSES.get(text.charAt(3));
        if (!late) {
            Thread.sleep(delay);
        }
        int at = 5;
        for (int n = 0; n < text.charAt(4) - '0'; n++) {
            int next = end(text, at);
            fetch(call, n, text.substring(at, next));
            at = next;
        }
        if (late) {
            Thread.sleep(delay);
        }
        ledger.write("server", call, call, "/t/" + text, status, start);
        return ResponseEntity.status(HttpStatusCode.valueOf(status)).body("done");
    }

    private void fetch(String inbound, int number, String plan) {
        String call = inbound + "." + number;
        String path = "/t/" + plan;
        long start = Ledger.now();
        int status = 0;
        try {
            var headers = new HttpHeaders();
            headers.set(HEADER, call);
            String address = peers[plan.charAt(0) - '0'] + path;
            status = client.exchange(address, HttpMethod.GET, new HttpEntity<>(headers), String.class)
                    .getStatusCode()
                    .value();
        } catch (ResourceAccessException error) {
            // A call without an answer has status 0.
        }
        ledger.write("client", call, inbound + "/s", path, status, start);
    }

    /** Where the plan that begins there ends. */
    private static int end(String text, int at) {
        int calls = text.charAt(at + 4) - '0';
        at += 5;
        for (int n = 0; n < calls; n++) {
            at = end(text, at);
        }
        return at;
    }
}
