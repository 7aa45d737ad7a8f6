"""Generated questions with one correct answer, by kind and level."""
