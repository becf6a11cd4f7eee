package signedlist

import "bytes"

// encodePEM writes a bundle (RFC 7468), each certificate under what is trusted
// about it.
func encodePEM(s *sheet) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(comment(s.heading()))
	for _, r := range s.rows {
		b.WriteString("\n" + comment(r.text()))
		b.Write(r.pem)
	}
	return b.Bytes(), nil
}
