"""Results as HTML, Markdown, CSV, JUnit and terminal output."""
