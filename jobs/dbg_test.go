package jobs
import ("testing";"fmt";"github.com/lookupq/lookupq/internal/names")
func TestDbg(t *testing.T) {
	w := newWorld(1, 5)
	for i, tn := range []int{1,0,2,1,8,1,4,15,14,0,0,13} { w.add("r", names.Normal, fmt.Sprint(tn), 1+i%3) }
	c := w.class("r", names.Normal)
	for ms := 0; ms < 600; ms++ {
		w.now += msec
		for range 5 { w.step(c, 10, 1) }
		if ms%20 == 0 {
			w.expire()
			w.letGo(func(string) float64 { return 10 }, w.now)
			act := -1
			for i, l := range w.lanes { if l.place == placeActive { act = i } }
			fmt.Println(ms, "got", len(w.got), "active", act, w.active, "dur", w.durables, "pl", w.pledged, "blocked", w.blocked)
		}
	}
}
