package worker

import (
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/results"
)

// lookupOf copies facts into the contract's object.
func lookupOf(f *providers.Facts) *results.Lookup {
	l := &results.Lookup{
		Country: f.Country, Area: f.Area, LineType: string(f.LineType),
		Valid: triOf(f.Valid), Ported: triOf(f.Ported), PortedBasis: f.PortedBasis, PortedAt: f.PortedAt,
		Portable: triOf(f.Portable), FastPortable: triOf(f.FastPortable), NotPortableReason: f.NotPortableReason,
		OriginalCarrier: results.Carrier(f.OriginalCarrier), CurrentCarrier: results.Carrier(f.CurrentCarrier),
		MCC: f.MCC, MNC: f.MNC,
		Reachable: wordOf(f.Reachable), Roaming: wordOf(f.Roaming), Ringing: wordOf(f.Ringing), Answered: wordOf(f.Answered),
		CallResponse: f.CallResponse, TimeZones: f.TimeZones,
	}
	if f.Porting != nil {
		p := results.Porting(*f.Porting)
		l.Porting = &p
	}
	return l
}

// triOf is for facts that are true, false or absent.
func triOf(t providers.Tri) results.Tri {
	switch t {
	case providers.Yes:
		return results.Yes
	case providers.No:
		return results.No
	case providers.Unknown, providers.Undetermined:
	}
	return results.Unknown
}

// wordOf is for facts that may be said to be unknown.
func wordOf(t providers.Tri) results.Word {
	switch t {
	case providers.Yes:
		return results.WordYes
	case providers.No:
		return results.WordNo
	case providers.Undetermined:
		return results.WordUnknown
	case providers.Unknown:
	}
	return ""
}
