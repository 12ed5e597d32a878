package judge

import "fmt"

// Chinese is the i-th of many mobiles of mainland China, in E.164.
func Chinese(i int) string { return fmt.Sprintf("+86137%08d", 10_000_000+i*7) }

// American is the i-th of many numbers of Colorado, in E.164.
func American(i int) string { return fmt.Sprintf("+1303%07d", 2_000_000+i) }

// Mixed is the i-th of many mobiles of four countries, in E.164.
func Mixed(i int) string {
	switch i % 4 {
	case 0:
		return Chinese(i)
	case 1:
		return American(i)
	case 2:
		return fmt.Sprintf("+4479111%05d", i)
	default:
		return fmt.Sprintf("+8526%07d", 1_000_000+i*7)
	}
}
