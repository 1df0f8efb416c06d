import pytest
@pytest.fixture(scope="session")
def postgres_url(): return "postgresql://postgres@/postgres?host=/tmp/pg/data"
