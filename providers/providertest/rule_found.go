package providertest

import "context"

// checkFound: found.json is understood, and asked for as recorded.
func checkFound(ctx context.Context, x *exam) error { return x.replay(ctx, x.found) }
