package builtin

import (
	"net/http"

	"github.com/google/uuid"
)

type ruleView struct {
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Enabled     bool           `json:"enabled"`
	Overridable bool           `json:"overridable"`
	Severity    string         `json:"severity"`
	Expression  ruleExpression `json:"expression"`
	Meta        meta           `json:"_meta"`
}

type ruleExpression struct {
	Operator    string          `json:"operator"`
	Expressions []ruleCondition `json:"expressions"`
}

type ruleCondition struct {
	Name       string         `json:"name"`
	Operation  string         `json:"operation"`
	Parameters map[string]any `json:"parameters"`
}

// ruleID stays the same as long as the rule keeps its name.
func ruleID(name string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("policy-rule:"+name)).String()
}

func ruleURL(name string) string { return "/api/policy-rules/" + ruleID(name) }

func (c *call) viewRule(r policyRule) ruleView {
	condition := func(name, operation string, values ...string) ruleCondition {
		return ruleCondition{Name: name, Operation: operation, Parameters: map[string]any{"values": values}}
	}
	view := ruleView{
		Name: r.Name, Description: "from the policy file of the built-in hub", Enabled: true, Overridable: true, Severity: r.Severity,
		Expression: ruleExpression{Operator: "AND", Expressions: []ruleCondition{condition("VULN_LEVEL", "GE", string(r.Vulnerability))}},
		Meta:       c.metaOf(ruleURL(r.Name), allowGet),
	}
	if len(r.Components) > 0 {
		view.Expression.Expressions = append(view.Expression.Expressions, condition("COMPONENT", "IN", r.Components...))
	}
	if len(r.Ecosystems) > 0 {
		view.Expression.Expressions = append(view.Expression.Expressions, condition("ECOSYSTEM", "IN", r.Ecosystems...))
	}
	return view
}

func (h *Hub) listRules(c *call) (reply, error) {
	p, err := parsePaging(c.URL.Query(), "name")
	if err != nil {
		return reply{}, err
	}
	list := page{Items: []any{}, AppliedFilters: []any{}, Meta: c.metaOf("/api/policy-rules", allowGet)}
	for _, r := range h.rules.Rules {
		if !p.matches(r.Name) {
			continue
		}
		if p.takes(list.TotalCount) {
			list.Items = append(list.Items, c.viewRule(r))
		}
		list.TotalCount++
	}
	return reply{status: http.StatusOK, body: list}, nil
}

func (h *Hub) getRule(c *call) (reply, error) {
	for _, r := range h.rules.Rules {
		if ruleID(r.Name) == c.PathValue("rule") {
			return reply{status: http.StatusOK, body: c.viewRule(r)}, nil
		}
	}
	return reply{}, notFound("policy rule", c.PathValue("rule"))
}
