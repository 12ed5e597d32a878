package providertest

import "context"

// checkOthers: every further recorded call is understood, too.
func checkOthers(ctx context.Context, x *exam) error {
	for _, c := range x.cases {
		if err := x.replay(ctx, c); err != nil {
			return err
		}
	}
	return nil
}
