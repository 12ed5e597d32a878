package normal

import (
	"strings"
	"unicode/utf8"
)

// Area joins a province and a city of China to 省-市 ("广东-深圳"), as QXT writes
// areas, without what kind of place they are. Where there is only one of them, or
// the city is the province (北京), it is that one.
func Area(province, city string) string {
	province = place(province, "特别行政区", "壮族自治区", "回族自治区", "维吾尔自治区", "自治区", "省", "市")
	city = place(city, "市")
	switch {
	case city == "" || city == province:
		return province
	case province == "":
		return city
	}
	return province + "-" + city
}

// SplitArea is Area for the two in one text, as 省-市, 省 or 市.
func SplitArea(text string) string {
	province, city, _ := strings.Cut(text, "-")
	return Area(province, city)
}

// place is name without the first of the kinds that it ends in, unless less than
// two characters would be left: 沙市 is a name.
func place(name string, kinds ...string) string {
	name = strings.TrimSpace(name)
	if unknown(strings.ToLower(name)) {
		return ""
	}
	for _, kind := range kinds {
		rest, ok := strings.CutSuffix(name, kind)
		switch {
		case !ok:
		case utf8.RuneCountInString(rest) >= 2:
			return rest
		default:
			return name
		}
	}
	return name
}
