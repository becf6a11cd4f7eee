package ldap

// Object identifiers of extended operations and unsolicited notifications.
const (
	OIDNoticeOfDisconnection = "1.3.6.1.4.1.1466.20036"  // RFC 4511 §4.4.1
	OIDStartTLS              = "1.3.6.1.4.1.1466.20037"  // RFC 4511 §4.14
	OIDWhoAmI                = "1.3.6.1.4.1.4203.1.11.3" // RFC 4532
	OIDCancel                = "1.3.6.1.1.8"             // RFC 3909
)

// AbandonRequest is RFC 4511 §4.11. It has no response.
type AbandonRequest struct {
	ID int32 // of the operation to give up
}

// ExtendedRequest is RFC 4511 §4.12.
type ExtendedRequest struct {
	Name  string // object identifier
	Value []byte // nil when absent
}

// ExtendedResponse is RFC 4511 §4.12.
type ExtendedResponse struct {
	Result
	Name  string // object identifier, empty when absent
	Value []byte // nil when absent
}

// IntermediateResponse is RFC 4511 §4.13.
type IntermediateResponse struct {
	Name  string // object identifier, empty when absent
	Value []byte // nil when absent
}

// NoticeOfDisconnection is the unsolicited notification that a server sends
// before it closes the connection (RFC 4511 §4.4.1).
func NoticeOfDisconnection(code ResultCode, diagnostic string) Message {
	return Message{Op: ExtendedResponse{
		Result: Result{Code: code, Diagnostic: diagnostic},
		Name:   OIDNoticeOfDisconnection,
	}}
}

// ResponseTo returns the response that carries r in answer to request, or nil
// when request has no response (Unbind, Abandon) or is none.
func ResponseTo(request Op, r Result) Op {
	switch m := request.(type) {
	case BindRequest:
		return BindResponse{Result: r}
	case SearchRequest:
		return SearchResultDone{Result: r}
	case UpdateRequest:
		return UpdateResponse{Op: m.Op, Result: r}
	case ExtendedRequest:
		return ExtendedResponse{Result: r}
	}
	return nil
}

// ParseCancel reads the value of a Cancel request (RFC 3909 §2.1): the ID of
// the operation to cancel. Errors are of kind fault.Invalid.
func ParseCancel(value []byte) (int32, error) {
	d := decoder{lim: Limits{}.withDefaults()}
	v := view{rest: value, d: &d}
	seq := v.sub(tagSequence)
	return seq.int32(tagInteger), d.err
}

// Cancel is the request to cancel operation id (RFC 3909 §2.1).
func Cancel(id int32) ExtendedRequest {
	var e encoder
	seq := e.open(tagSequence)
	e.int(tagInteger, int64(id))
	e.close(seq)
	return ExtendedRequest{Name: OIDCancel, Value: e.b}
}

const (
	tagRequestName       = contextPrim
	tagRequestValue      = contextPrim | 1
	tagResponseName      = contextPrim | 10
	tagResponseValue     = contextPrim | 11
	tagIntermediateName  = contextPrim
	tagIntermediateValue = contextPrim | 1
)

func (m AbandonRequest) appendTo(e *encoder) { e.int(tagAbandonRequest, int64(m.ID)) }

func (d *decoder) extendedRequest(v view) ExtendedRequest {
	m := ExtendedRequest{Name: v.string(tagRequestName)}
	if v.at(tagRequestValue) {
		m.Value = v.bytes(tagRequestValue)
	}
	return m
}

func (m ExtendedRequest) appendTo(e *encoder) {
	op := e.open(tagExtendedRequest)
	e.string(tagRequestName, m.Name)
	e.optional(tagRequestValue, m.Value)
	e.close(op)
}

func (d *decoder) extendedResponse(v view) ExtendedResponse {
	m := ExtendedResponse{Result: d.result(&v)}
	m.Name, m.Value = v.nameAndValue(tagResponseName, tagResponseValue)
	return m
}

func (m ExtendedResponse) appendTo(e *encoder) {
	op := e.open(tagExtendedResponse)
	e.result(m.Result)
	e.nameAndValue(tagResponseName, m.Name, tagResponseValue, m.Value)
	e.close(op)
}

func (d *decoder) intermediateResponse(v view) IntermediateResponse {
	var m IntermediateResponse
	m.Name, m.Value = v.nameAndValue(tagIntermediateName, tagIntermediateValue)
	return m
}

func (m IntermediateResponse) appendTo(e *encoder) {
	op := e.open(tagIntermediateResponse)
	e.nameAndValue(tagIntermediateName, m.Name, tagIntermediateValue, m.Value)
	e.close(op)
}

func (v *view) nameAndValue(nameTag, valueTag byte) (name string, value []byte) {
	if v.at(nameTag) {
		name = v.string(nameTag)
	}
	if v.at(valueTag) {
		value = v.bytes(valueTag)
	}
	return name, value
}

func (e *encoder) nameAndValue(nameTag byte, name string, valueTag byte, value []byte) {
	if name != "" {
		e.string(nameTag, name)
	}
	e.optional(valueTag, value)
}

// optional appends v unless it is nil, which means absent.
func (e *encoder) optional(tag byte, v []byte) {
	if v != nil {
		e.bytes(tag, v)
	}
}
