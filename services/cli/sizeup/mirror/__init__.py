"""`sizeup mirror`: local models as a Hugging Face hub."""
