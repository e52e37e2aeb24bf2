package builtin

import "fmt"

// contentOf is what a notification says, in the fields that its type has.
func (c *call) contentOf(n notification) any {
	switch n.Type {
	case typeVulnerability:
		return c.vulnerabilityContent(n)
	case typeViolation, typeCleared:
		return c.ruleContent(n)
	case typeOverride:
		return c.overrideContent(n)
	case typeComputed:
		return map[string]any{
			"projectVersion": c.versionLink(n.Project, n.Version), "codeLocation": c.base + locationURL(n.CodeLocation),
			"scanSummary": c.base + scanURL(n.Scan),
		}
	case typeProject:
		return map[string]any{"operationType": n.Operation, "project": c.base + projectURL(n.Project), "projectName": n.ProjectName}
	case typeVersion:
		return map[string]any{
			"operationType": n.Operation, "project": c.base + projectURL(n.Project), "projectName": n.ProjectName,
			"projectVersion": c.versionLink(n.Project, n.Version), "projectVersionName": n.VersionName,
		}
	}
	return map[string]any{}
}

func (c *call) versionLink(projectID, versionID string) string {
	return c.base + version{ID: versionID, Project: projectID}.path()
}

func bomComponentPath(v version, componentID string) string {
	return v.path() + "/components/" + componentID + "/versions/" + componentID
}

func (c *call) vulnerabilityContent(n notification) any {
	content := map[string]any{
		"newVulnerabilityCount": len(n.Added), "newVulnerabilityIds": vulnerabilityIDs(n.Added),
		"updatedVulnerabilityCount": len(n.Updated), "updatedVulnerabilityIds": vulnerabilityIDs(n.Updated),
		"deletedVulnerabilityCount": len(n.Ended), "deletedVulnerabilityIds": vulnerabilityIDs(n.Ended),
	}
	id := ""
	for _, one := range n.Components {
		id = one.ID
		content["componentName"], content["versionName"] = one.Name, one.Version
		content["componentVersionOriginName"], content["componentVersionOriginId"] = purlType(one.PURL), one.PURL
	}
	affected := make([]any, 0, len(n.Affected))
	for _, v := range n.Affected {
		at := version{ID: v.Version, Project: v.Project}
		component := c.base + bomComponentPath(at, id)
		content["componentVersion"] = component
		affected = append(affected, map[string]any{
			"projectName": v.ProjectName, "projectVersionName": v.VersionName, "projectVersion": c.base + at.path(), "bomComponent": component,
		})
	}
	content["affectedProjectVersions"] = affected
	return content
}

func vulnerabilityIDs(list []notedVulnerability) []any {
	ids := make([]any, 0, len(list))
	for _, v := range list {
		ids = append(ids, map[string]any{
			"source": vulnerabilitySource(v.ID), "vulnerabilityId": v.ID, "vulnerability": v.URL, "severity": string(v.Severity),
		})
	}
	return ids
}

func (c *call) ruleContent(n notification) any {
	at := version{ID: n.Version, Project: n.Project}
	statuses, infos, seen := []any{}, []any{}, map[string]bool{}
	for _, one := range n.Components {
		component, policies := c.base+bomComponentPath(at, one.ID), []string{}
		for _, v := range one.Violations {
			rule := c.base + ruleURL(v.Rule)
			policies = append(policies, rule)
			if !seen[v.Rule] {
				seen[v.Rule] = true
				infos = append(infos, map[string]any{"policyName": v.Rule, "policy": rule, "severity": v.Severity})
			}
		}
		statuses = append(statuses, map[string]any{
			"componentName": one.Name, "componentVersionName": one.Version, "component": component, "componentVersion": component,
			"bomComponent": component, "bomComponentVersionPolicyStatus": component + "/policy-status", "policies": policies,
		})
	}
	field := "componentVersionsInViolation"
	if n.Type == typeCleared {
		field = "componentVersionsCleared"
	}
	return map[string]any{
		"projectName": n.ProjectName, "projectVersionName": n.VersionName, "projectVersion": c.base + at.path(),
		field: len(n.Components), "componentVersionStatuses": statuses, "policyInfos": infos,
	}
}

func (c *call) overrideContent(n notification) any {
	at := version{ID: n.Version, Project: n.Project}
	content := map[string]any{
		"projectName": n.ProjectName, "projectVersionName": n.VersionName, "projectVersion": c.base + at.path(),
		"firstName": "policy", "lastName": "file", "policies": []any{}, "policyInfos": []any{},
	}
	for _, one := range n.Components {
		component := c.base + bomComponentPath(at, one.ID)
		content["componentName"], content["componentVersionName"] = one.Name, one.Version
		content["component"], content["componentVersion"], content["bomComponent"] = component, component, component
		content["bomComponentVersionPolicyStatus"] = fmt.Sprintf("%s/policy-status", component)
	}
	return content
}
