package providertest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A provider that calls nobody, and one that takes a number at a time, are asked
// what concerns them.
func TestRulesFollowCapabilities(t *testing.T) {
	t.Parallel()
	x, err := newExam(toyType(flaw{}))
	require.NoError(t, err)
	x.limits.MaxBatch = 1
	require.Len(t, rulesFor(x), 27)
	x.limits.Keyless = true
	require.Len(t, rulesFor(x), 12)
}

// A recorded call that is not there fails with the file to add.
func TestMissingRecordingIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	typ := toyType(flaw{})
	require.NoError(t, os.CopyFS(dir, os.DirFS(typ.Testdata)))
	typ.Testdata = dir
	for file, rule := range map[string]string{fileNotFound: "not found", filePartial: "partial", fileBalance: "balance"} {
		require.NoError(t, os.Remove(filepath.Join(dir, file)))
		x, err := newExam(typ)
		require.NoError(t, err)
		for _, r := range rulesFor(x) {
			if r.name == rule {
				require.ErrorContains(t, r.run(t.Context(), x), filepath.Join(dir, file)+" is missing: add it with a call")
			}
		}
	}
	require.NoError(t, os.Remove(filepath.Join(dir, fileFound)))
	_, err := newExam(typ)
	require.ErrorContains(t, err, fileFound+" is missing")
}
