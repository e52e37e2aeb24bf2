package rest

import (
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// rules answers /api/policy-rules.
type rules struct{ *Server }

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

func (c *call) viewRule(r judge.Rule) ruleView {
	condition := func(name, operation string, values ...string) ruleCondition {
		return ruleCondition{Name: name, Operation: operation, Parameters: map[string]any{"values": values}}
	}
	operation := "GE"
	if r.Only {
		operation = "EQ"
	}
	view := ruleView{
		Name: r.Name, Description: "from the policy file of the built-in hub", Enabled: true, Overridable: true, Severity: r.Severity,
		Expression: ruleExpression{Operator: "AND", Expressions: []ruleCondition{condition("VULN_LEVEL", operation, string(r.Vulnerability))}},
		Meta:       c.metaOf(ruleURL(r.Name), allowGet),
	}
	if r.Fixable != nil {
		view.Expression.Expressions = append(view.Expression.Expressions, condition("SOLUTION_AVAILABLE", "EQ", strconv.FormatBool(*r.Fixable)))
	}
	if len(r.Components) > 0 {
		view.Expression.Expressions = append(view.Expression.Expressions, condition("COMPONENT", "IN", r.Components...))
	}
	if len(r.Ecosystems) > 0 {
		view.Expression.Expressions = append(view.Expression.Expressions, condition("ECOSYSTEM", "IN", r.Ecosystems...))
	}
	return view
}

func (s rules) list(c *call) (reply, error) {
	p, err := c.paging("name")
	if err != nil {
		return reply{}, err
	}
	list := page{Items: []any{}, AppliedFilters: []any{}, Meta: c.metaOf("/api/policy-rules", allowGet)}
	for _, r := range s.policy.Rules {
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

func (s rules) get(c *call) (reply, error) {
	for _, r := range s.policy.Rules {
		if ruleID(r.Name) == c.PathValue("rule") {
			return reply{status: http.StatusOK, body: c.viewRule(r)}, nil
		}
	}
	return reply{}, &store.NotFoundError{What: "policy rule", ID: c.PathValue("rule")}
}
