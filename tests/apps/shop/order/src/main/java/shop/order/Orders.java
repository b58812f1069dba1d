package shop.order;

import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.client.HttpStatusCodeException;
import org.springframework.web.client.ResourceAccessException;
import org.springframework.web.client.RestTemplate;

/** Takes orders: asks the product service for the weight, reserves in the inventory, answers with a number. */
@RestController
public class Orders {
    /** What the customer wants. */
    public record Wanted(int product, int quantity, int price) {}

    /** What the customer gets. */
    public record Order(long order, long cart, int total, int weight) {}

    private final AtomicLong last = new AtomicLong();
    private final RestTemplate client;
    private final String product;
    private final String inventory;

    Orders(
            RestTemplate client,
            @Value("${PRODUCT_URL:}") String product,
            @Value("${INVENTORY_URL:}") String inventory) {
        this.client = client;
        this.product = product;
        this.inventory = inventory;
    }

    @GetMapping("/healthz")
    Map<String, Boolean> healthy() {
        return Map.of("ok", true);
    }

    @PostMapping("/orders/{cart}")
    ResponseEntity<Order> order(@PathVariable long cart, @RequestBody Wanted wanted) {
        int weight = 0;
        if (!product.isEmpty()) {
            var answer = client.getForObject(product + "/weights/{product}/{cart}", Map.class, wanted.product(), cart);
            weight = ((Number) answer.get("weight")).intValue() * wanted.quantity();
        }
        if (!inventory.isEmpty()) {
            client.postForObject(
                    inventory + "/reservations/{product}/{cart}",
                    Map.of("quantity", wanted.quantity()),
                    Map.class,
                    wanted.product(),
                    cart);
        }
        int total = wanted.price() * wanted.quantity();
        return ResponseEntity.status(HttpStatus.CREATED)
                .body(new Order(last.incrementAndGet(), cart, total, weight));
    }

    /** What another service refuses is refused here; what it fails at fails here. */
    @ExceptionHandler
    ResponseEntity<Map<String, String>> refused(HttpStatusCodeException error) {
        var status = error.getStatusCode().is5xxServerError() ? HttpStatus.BAD_GATEWAY : error.getStatusCode();
        return ResponseEntity.status(status).body(Map.of("error", error.getStatusText()));
    }

    @ExceptionHandler
    ResponseEntity<Map<String, String>> missing(ResourceAccessException error) {
        return ResponseEntity.status(HttpStatus.SERVICE_UNAVAILABLE).body(Map.of("error", "a service does not answer"));
    }
}
