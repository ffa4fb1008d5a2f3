"""What runs jobs: one turn (one micro-batch through a job), and the engines that call it."""
