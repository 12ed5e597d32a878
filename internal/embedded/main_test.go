package embedded_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/internal/embedded"
)

// helperDir, when set, turns the test binary into the parent process that a test
// kills: it runs Redis in that directory until it dies.
const helperDir = "LOOKUPQ_TEST_REDIS_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		os.Exit(redisParent(context.Background(), dir))
	}
	goleak.VerifyTestMain(m)
}

// redisParent starts Redis, says so on stdout and blocks until it is killed.
func redisParent(ctx context.Context, dir string) int {
	r, err := embedded.StartRedis(ctx, embedded.RedisOptions{Dir: dir, Log: zerolog.Nop()})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(r.URL())
	_, _ = os.Stdin.Read(make([]byte, 1)) // ends with the test, should it forget to kill us
	_ = r.Close()
	return 0
}
