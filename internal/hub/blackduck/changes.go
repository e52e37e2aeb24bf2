package blackduck

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/perceptor/perceptor/model"
)

const opChanges = "read changes"

// kinds are the notifications that can change a verdict, in the hub's words.
var kinds = map[string]model.HubChangeKind{
	"VULNERABILITY":                          model.HubChangeVulnerability,
	"RULE_VIOLATION":                         model.HubChangePolicy,
	"RULE_VIOLATION_CLEARED":                 model.HubChangePolicy,
	"POLICY_OVERRIDE":                        model.HubChangePolicy,
	"BOM_EDIT":                               model.HubChangeBOM,
	"VERSION_BOM_CODE_LOCATION_BOM_COMPUTED": model.HubChangeBOM,
	typeProjectVersion:                       model.HubChangeRemoved,
}

const (
	typeProjectVersion = "PROJECT_VERSION"
	operationDelete    = "DELETE"
)

// oldTypes are those of the types that hubs of the old generation know.
var oldTypes = []string{"VULNERABILITY", "RULE_VIOLATION", "RULE_VIOLATION_CLEARED", "POLICY_OVERRIDE"}

// notification is one event at the hub. Only the addresses of project versions matter here.
type notification struct {
	Type      string  `json:"type"`
	CreatedAt instant `json:"createdAt"`
	Content   struct {
		ProjectVersion string `json:"projectVersion"`
		OperationType  string `json:"operationType"`
		Affected       []struct {
			ProjectVersion string `json:"projectVersion"`
		} `json:"affectedProjectVersions"`
	} `json:"content"`
}

func (n *notification) check() error {
	switch {
	case n.Type == "":
		return errors.New("a notification without a type")
	case n.CreatedAt.IsZero():
		return errors.New("a notification without its time")
	}
	return nil
}

// kind is what the notification means, false when nothing. The hub's own filter by type has let others through.
func (n *notification) kind() (model.HubChangeKind, bool) {
	kind, known := kinds[n.Type]
	if n.Type == typeProjectVersion && n.Content.OperationType != operationDelete {
		return "", false
	}
	return kind, known
}

func (n *notification) versions() []string {
	links := []string{n.Content.ProjectVersion}
	for _, each := range n.Content.Affected {
		links = append(links, each.ProjectVersion)
	}
	return slices.DeleteFunc(links, func(link string) bool { return link == "" })
}

// Changes reads what happened at the hub between two times, one HubChange for each version and kind, oldest first, and
// tells the hub's time when it answered: nothing that happened later is among them. Windows should overlap, since a hub
// may show an event late; a change read twice does no harm. A hub whose notifications are switched off answers with class
// unsupported.
func (c *Client) Changes(ctx context.Context, since, until time.Time) (changes []model.HubChange, asOf time.Time, err error) {
	if until.Before(since) {
		err := fmt.Errorf("the window ends (%v) before it begins (%v)", until, since)
		return nil, time.Time{}, c.wrap(opChanges, "", nil, trouble(symptomArgument, err))
	}
	s, err := c.session(ctx, opChanges, nil)
	if err != nil {
		return nil, time.Time{}, err
	}
	query := url.Values{
		"startDate": {since.UTC().Format(instantLayout)},
		"endDate":   {until.UTC().Format(instantLayout)},
	}
	for _, name := range typesFor(s.dialect) {
		query.Add("filter", "notificationType:"+name)
	}
	k := call{op: opChanges, at: c.origin.join("/api/notifications"), query: query, accept: s.dialect.accept(mediaNotification)}
	rows, answer, err := getAll[notification](ctx, c, k)
	if err != nil {
		return nil, time.Time{}, err
	}
	changes, err = c.changesOf(rows)
	return changes, answer.at, c.wrap(opChanges, "", nil, err)
}

// typesFor are the types to ask for: old hubs may refuse filters they do not know.
func typesFor(d dialect) []string {
	if d.old {
		return oldTypes
	}
	var names []string
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// changesOf drops repeats: a notification that came twice, on two pages or in two windows, says nothing new.
func (c *Client) changesOf(rows []notification) ([]model.HubChange, error) {
	type key struct {
		version string
		kind    model.HubChangeKind
	}
	newest := map[key]time.Time{}
	for i := range rows {
		kind, matters := rows[i].kind()
		if !matters {
			continue
		}
		for _, link := range rows[i].versions() {
			version, err := c.origin.object(link, versionPath, "project version")
			if err != nil {
				return nil, trouble(symptomShape, err)
			}
			k := key{version.String(), kind}
			if at := rows[i].CreatedAt.Time; at.After(newest[k]) {
				newest[k] = at
			}
		}
	}
	changes := make([]model.HubChange, 0, len(newest))
	for k, at := range newest {
		changes = append(changes, model.HubChange{VersionURL: k.version, Kind: k.kind, At: at})
	}
	slices.SortFunc(changes, func(a, b model.HubChange) int {
		if order := a.At.Compare(b.At); order != 0 {
			return order
		}
		return strings.Compare(a.VersionURL+string(a.Kind), b.VersionURL+string(b.Kind))
	})
	return changes, nil
}
