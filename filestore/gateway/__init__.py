"""The HTTP gateway: requests to responses (pure), and the thin server around them."""
