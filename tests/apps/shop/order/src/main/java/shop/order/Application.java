package shop.order;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.web.client.RestTemplate;

/** The shop's orders: Spring MVC on Tomcat, one thread per request. */
@SpringBootApplication
public class Application {
    /** Starts the service. */
    public static void main(String[] arguments) {
        SpringApplication.run(Application.class, arguments);
    }

    /** The client of all calls: HttpURLConnection underneath, with its own pool of kept connections. */
    @Bean
    RestTemplate client() {
        return new RestTemplate();
    }
}
