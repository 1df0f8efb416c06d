"""What reliable means, as tests: small counts by default, full counts by `make bars`. Each has a control."""
