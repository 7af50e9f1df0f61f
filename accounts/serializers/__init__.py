"""What people and merchants look like from outside, and what may be sent about them."""
