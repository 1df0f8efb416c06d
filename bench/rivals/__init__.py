"""The same routes as most write them: FastAPI with its dependencies and response models over the asynchronous ORM."""
