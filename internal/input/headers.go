package input

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
)

// Header names are compared as heading leaves them: lower case, with one blank
// for any run of blanks, dashes, dots, underscores and the like.

// numberHeadings name a column of phone numbers, the surest first.
func numberHeadings() []string {
	return []string{
		"msisdn", "e164", "e 164", "phone number", "phonenumber", "mobile number", "mobile phone", "mobile phone number", "cell phone", "cellphone",
		"mobile", "mobile no", "cell", "phone", "phone no", "telephone", "telephone number", "telephone no", "tel", "tel no", "contact number", "contact no",
		"手机号", "手机号码", "手机", "移动电话", "联系电话", "电话号码", "电话", "联系方式", "號碼", "手機", "手機號碼", "電話", "電話號碼", "号码", "被叫号码",
		"mobilnummer", "handynummer", "handy", "mobiltelefon", "telefonnummer", "telefon", "rufnummer", "mobil", "telefonnr",
		"portable", "téléphone", "téléphone portable", "téléphone mobile", "numéro de téléphone", "numéro",
		"teléfono", "telefono", "teléfono móvil", "móvil", "movil", "celular", "número de teléfono", "número",
		"telefone", "telemóvel", "telefone celular", "cellulare", "numero di telefono", "numero", "numero de telefono",
		"телефон", "мобильный", "мобильный телефон", "номер телефона", "номер", "моб телефон", "сотовый", "телефон мобільний", "номер телефону",
		"電話番号", "携帯電話", "携帯番号", "携帯", "전화번호", "휴대폰", "휴대폰번호", "휴대전화", "핸드폰",
		"هاتف", "الهاتف", "رقم الهاتف", "جوال", "رقم الجوال", "موبايل", "טלפון", "נייד", "मोबाइल", "फोन", "मोबाइल नंबर",
		"telepon", "nomor telepon", "no telepon", "no hp", "hp", "điện thoại", "số điện thoại", "sđt", "เบอร์โทร", "โทรศัพท์", "เบอร์มือถือ", "เบอร์โทรศัพท์",
		"telefoon", "telefoonnummer", "mobiel", "mobiele nummer", "puhelin", "puhelinnumero", "matkapuhelin", "mobiltelefonnummer", "mobilnr",
		"numer telefonu", "komórka", "telefonszám", "mobilszám", "τηλέφωνο", "κινητό", "telefon numarası", "cep telefonu", "cep", "număr de telefon",
		"number", "recipient", "destination", "to", "caller", "callee",
	}
}

// numberWords are parts of a longer name of such a column ("customer phone (home)").
func numberWords() []string {
	return []string{"phone", "mobile", "msisdn", "telefon", "手机", "手機", "电话", "電話", "телефон", "teléfono", "téléphone", "celular", "携帯", "전화", "휴대"}
}

// otherWords are parts of names of columns that speak of phones and hold none.
func otherWords() []string {
	return []string{"type", "code", "country", "fax", "date", "verified", "valid", "status", "carrier", "count", "label", "model", "类型", "状态", "归属", "运营商", "时间", "typ", "тип"}
}

// refHeadings name the column of the record's own key.
func refHeadings() []string {
	return []string{
		"ref", "reference", "external id", "externalid", "customer id", "customerid", "customer no", "customer number", "contact id", "contactid", "record id", "recordid",
		"lead id", "account id", "user id", "userid", "crm id", "uuid", "guid", "key", "id",
		"客户编号", "客户id", "编号", "用户id", "用户编号", "序号id", "客戶編號", "編號", "kundennummer", "kundennr", "kunden nr", "kunden id", "identifiant", "id client", "referencia",
		"id cliente", "codice cliente", "código", "ид", "id клиента", "код клиента", "顧客番号", "顧客id", "고객번호", "klantnummer", "nr klienta", "müşteri no",
	}
}

// regionHeadings name the column of the record's country.
func regionHeadings() []string {
	return []string{
		"country", "country code", "countrycode", "country iso", "country iso code", "iso country", "iso country code", "iso", "iso2", "iso code", "iso 3166", "region", "region code", "cc", "nation", "mailing country", "billing country",
		"国家", "国家代码", "国家/地区", "国家地区", "国别", "國家", "land", "ländercode", "länderkürzel", "landescode", "pays", "code pays", "país", "pais", "código de país", "paese", "nazione",
		"страна", "код страны", "країна", "国", "国名", "国コード", "국가", "국가코드", "kraj", "ülke", "الدولة", "البلد", "negara", "quốc gia", "ประเทศ", "maa", "ország", "χώρα", "țara",
	}
}

// heading brings a header cell into the form of the lists above.
func heading(cell []byte) string {
	cell = bytes.Trim(trim(cell), `"'`)
	fields := strings.FieldsFunc(strings.ToLower(string(cell)), func(c rune) bool {
		return unicode.IsSpace(c) || strings.ContainsRune("-_.:#()[]*", c)
	})
	return strings.Join(fields, " ")
}

// numberRank says how surely a heading names a column of phone numbers: 0 is the
// surest, -1 is not at all.
func numberRank(h string) int {
	all := numberHeadings()
	if i := slices.Index(all, h); i >= 0 {
		return i
	}
	if h == "" || containsAny(h, otherWords()) {
		return -1
	}
	for i, w := range numberWords() {
		if strings.Contains(h, w) {
			return len(all) + i
		}
	}
	return -1
}

func containsAny(s string, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
}

// known reports whether h is a heading of any of the lists.
func known(h string) bool {
	return numberRank(h) >= 0 || slices.Contains(refHeadings(), h) || slices.Contains(regionHeadings(), h)
}
