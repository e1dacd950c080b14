"""What crosses between devices and server: messages, integers in fixed point, and how many bytes of each."""
