package blackduck

import (
	"net/http"

	"github.com/perceptor/perceptor/model"
)

// symptom is one way a call can go wrong, as the driver sees it from outside.
type symptom string

// The symptoms that are no plain HTTP status.
const (
	symptomNetwork     symptom = "network"
	symptomTimeout     symptom = "timeout"
	symptomCancelled   symptom = "cancelled"
	symptomLimiter     symptom = "limiter"
	symptomCertificate symptom = "certificate"
	symptomNoTLS       symptom = "no TLS"
	symptomSecret      symptom = "secret"
	symptomLoginPage   symptom = "login page"
	symptomHTML        symptom = "html"
	symptomNotJSON     symptom = "not json"
	symptomCutOff      symptom = "cut off"
	symptomEmpty       symptom = "empty body"
	symptomShape       symptom = "wrong shape"
	symptomTooLarge    symptom = "too large"
	symptomPages       symptom = "pages"
	symptomElsewhere   symptom = "redirect elsewhere"
	symptomLoop        symptom = "redirect loop"
	symptomArgument    symptom = "argument"
	symptomForeign404  symptom = "foreign 404"
	symptomDegraded    symptom = "degraded"
)

// checkGeneration is what to do about a hub that speaks another form of the API.
const checkGeneration = "; check the hub's version and its generation setting"

// failure is one row: what is seen, what class that is, and what a person reads.
type failure struct {
	symptom symptom
	// low and high bound the HTTP statuses of a row that has no symptom; both zero otherwise.
	low, high int
	class     model.FailureClass
	says      string
}

// failures is the one place that decides what a failed call means. The first row that fits counts.
//
// Some choices need their reason. An untrusted certificate is invalid, not transient: no waiting mends it. JSON of the
// wrong shape is invalid as well, because the hub is well and speaks, only not the API this driver knows; an empty,
// cut off or HTML reply is transient, because that is what the proxy in front of a hub sends while the hub restarts.
// For the same reason a 404 counts as the hub's only in the hub's own form: many proxies answer 404 while no hub is
// behind them, and to take that for "no such scan" would free leases and scan images a second time.
var failures = []failure{
	{symptom: symptomNetwork, class: model.Transient, says: "the hub cannot be reached"},
	{symptom: symptomTimeout, class: model.Transient, says: "the hub did not answer in time"},
	{symptom: symptomCancelled, class: model.Transient, says: "the caller gave up before the hub answered"},
	{symptom: symptomLimiter, class: model.Transient, says: "no turn within the time left: this hub's own request limit is used up"},
	{symptom: symptomCertificate, class: model.Invalid, says: "certificate not trusted: set the hub's CA file, or correct its URL"},
	{symptom: symptomNoTLS, class: model.Invalid, says: "no TLS connection: is there an https server at that address?"},
	{symptom: symptomSecret, class: model.Unauthorized, says: "the login's secret cannot be read from its file"},
	{symptom: symptomLoginPage, class: model.Unauthorized, says: "the hub sent its login page: it no longer knows this login"},
	{symptom: symptomHTML, class: model.Transient, says: "an HTML page instead of JSON: a proxy answers, or the hub is restarting"},
	{symptom: symptomNotJSON, class: model.Transient, says: "the answer is not JSON"},
	{symptom: symptomCutOff, class: model.Transient, says: "the answer ended early"},
	{symptom: symptomEmpty, class: model.Transient, says: "the answer is empty"},
	{symptom: symptomShape, class: model.Invalid, says: "the answer is JSON of a shape this driver does not know" + checkGeneration},
	{symptom: symptomTooLarge, class: model.Invalid, says: "the answer is larger than 32 MiB"},
	{symptom: symptomPages, class: model.Invalid, says: "the hub's list does not end where its total says"},
	{
		symptom: symptomElsewhere, class: model.Invalid,
		says: "the hub redirects to another address, where no credentials are sent; set its URL to that address if it is right",
	},
	{symptom: symptomLoop, class: model.Invalid, says: "the hub redirects in a circle"},
	{symptom: symptomArgument, class: model.Invalid, says: "the call makes no sense and was not sent"},
	{symptom: symptomForeign404, class: model.Transient, says: "a 404 that is not in the hub's form: a proxy answers in its place"},
	{symptom: symptomDegraded, class: model.Throttled, says: "the hub accepts no scans for now"},

	{low: 200, high: 299, class: model.Invalid, says: "the hub answered with a success this driver does not expect here"},
	{low: 300, high: 399, class: model.Invalid, says: "the hub redirects to nowhere"},
	{low: 400, high: 400, class: model.Invalid, says: "the hub finds the request wrong"},
	{low: 401, high: 401, class: model.Unauthorized, says: "the hub refuses this login: check its token, or its username and password"},
	{low: 402, high: 402, class: model.Unsupported, says: "the hub's licence does not cover this, or the feature is switched off"},
	{low: 403, high: 403, class: model.Unauthorized, says: "the login lacks a role or permission for this"},
	{low: 404, high: 404, class: model.NotFound, says: "the hub knows no such object, or this login may not see it"},
	{low: 405, high: 406, class: model.Unsupported, says: "the hub does not offer this in the form asked for" + checkGeneration},
	{low: 407, high: 407, class: model.Unauthorized, says: "the proxy in front of the hub wants a login"},
	{low: 408, high: 408, class: model.Transient, says: "the hub waited too long for the request"},
	{low: 409, high: 409, class: model.Invalid, says: "the request contradicts what is at the hub already"},
	{low: 410, high: 410, class: model.Unsupported, says: "this part of the API was removed from the hub"},
	{low: 411, high: 411, class: model.Invalid, says: "the hub finds the request wrong"},
	{low: 412, high: 412, class: model.Invalid, says: "a precondition does not hold: often such an object exists already"},
	{low: 413, high: 413, class: model.Invalid, says: "the request is larger than the hub takes"},
	{low: 415, high: 415, class: model.Unsupported, says: "the hub does not offer this in the form asked for" + checkGeneration},
	{low: 425, high: 425, class: model.Transient, says: "the hub is not ready for this yet"},
	{low: 429, high: 429, class: model.Throttled, says: "the hub is overloaded and refuses work for now"},
	{low: 400, high: 499, class: model.Invalid, says: "the hub refuses the request"},
	{low: 501, high: 501, class: model.Unsupported, says: "the hub does not offer this"},
	{low: 502, high: 504, class: model.Transient, says: "the hub is restarting, overloaded or unreachable for its proxy"},
	{low: 507, high: 507, class: model.OutOfSpace, says: "the hub has no space left"},
	{low: 500, high: 599, class: model.Transient, says: "the hub failed inside"},
	{low: 0, high: 999, class: model.Invalid, says: "an unknown HTTP status"},
}

// forSymptom finds the row of a symptom.
func forSymptom(s symptom) failure {
	for _, row := range failures {
		if row.symptom == s {
			return row
		}
	}
	return failure{symptom: s, class: model.Invalid, says: string(s)}
}

// forStatus finds the row of an HTTP status.
func forStatus(status int) failure {
	for _, row := range failures {
		if row.symptom == "" && row.low <= status && status <= row.high {
			return row
		}
	}
	return failure{class: model.Invalid, says: http.StatusText(status)}
}

// endsSession reports whether a new login may mend the failure: once, the session having ended meanwhile.
func (f failure) endsSession(status int) bool {
	return status == http.StatusUnauthorized || f.symptom == symptomLoginPage
}
