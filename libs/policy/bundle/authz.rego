# The shipped policy: everything that differs between installations is data below data.governance (bundle/data.json has the
# defaults, docs/policy.md the meaning). Two principles order it: what denies binds everybody and is asked first; what
# grants is asked last, and the default is to deny.
#
# Shared by two evaluators of OPA, so only what both have: strings are joined by concat, never by sprintf.
package stoa.authz

conf := data.governance

tool := input.tool

principal := input.principal

arguments := object.get(input, "arguments", {})

# {allow, reason, rule_id, obligations} and, for those who enforce it: `message` (what the caller may read), `missing_scopes`
# (any one would have sufficed) and `varies`: the facts, of "arguments" and "time", that decisions about this tool for this
# tenant depend on. `varies` itself depends on the tool, the tenant and the action alone.
decision := object.union(verdict, {"varies": varies}) if not input.trace

decision := object.union(verdict, {"varies": varies, "tried": tried}) if input.trace

default verdict := {"allow": false, "rule_id": "default-deny", "reason": "No rule allows this call", "message": "No policy allows this call", "obligations": []}

verdict := no("malformed-input", "The input lacks facts that every decision needs", "No policy allows this call") if not well_formed

else := no("tenant-isolation", text(["Tenant mismatch: user=", named(principal.tenant), ", tool=", named(tool.tenant)]), "No policy allows this call") if not tenant_allowed

else := no("allowed-tools", text(["The credential is for certain tools, and ", tool.name, " is not among them"]), text([noun, " ", tool.name, " is not among those that this credential is for"])) if outside_allowance

else := no("denied-tool", text(["Tool ", tool.name, " is denied to the tenant ", named(principal.tenant)]), text(["Tool ", tool.name, " is not allowed"])) if denied_tool

else := lacks_scope if not granted

else := no("required-role", text(["Tool ", tool.name, " requires another role"]), text(["Tool ", tool.name, " requires another role"])) if lacks_role

else := no("production-restriction", text(["Tool ", tool.name, " is restricted in ", input.environment]), text(["Tool ", tool.name, " is restricted in production"])) if production_restricted

else := no("destructive-off", text(["Tool ", tool.name, " is destructive and destructive tools are off"]), text(["Tool ", tool.name, " is destructive and not enabled"])) if destructive_denied

else := no(own_denials[0].rule_id, own_denials[0].reason, own_denials[0].message) if count(own_denials) > 0

else := no(denying[0].id, text(["Policy violation: ", denying[0].message]), text(["Policy violation: ", denying[0].message])) if count(denying) > 0

else := {"allow": true, "rule_id": grant.rule_id, "reason": grant.reason, "obligations": array.concat(obligations, warnings)} if {
	granted

	# Said twice: a denial above whose text is missing from the data must not become an allowance.
	count(denying) == 0
	count(own_denials) == 0
}

noun := {"tool": "Tool", "resource": "Resource", "prompt": "Prompt"}[tool.kind]

no(rule_id, reason, message) := {"allow": false, "rule_id": rule_id, "reason": reason, "message": message, "obligations": []}

text(parts) := concat("", parts)

named(tenant) := tenant if is_string(tenant)

named(tenant) := "none" if is_null(tenant)

# A clause above whose text were undefined would be skipped, and a denial with it: no fact is used before it is known to be there.
well_formed if {
	tenant_or_none(principal.tenant)
	is_array(principal.roles)
	is_array(principal.scopes)
	is_string(tool.name)
	tool.kind in {"tool", "resource", "prompt"}
	tool.class in {"read", "write", "destructive"}
	tenant_or_none(tool.tenant)
	input.action in {"invoke", "list"}
	is_string(input.environment)
	is_object(arguments)
}

tenant_or_none(tenant) if is_string(tenant)

tenant_or_none(tenant) if is_null(tenant)

# Scopes: what the principal holds, and what the data gives to its roles.
holds(scope) if scope in principal.scopes

holds(scope) if {
	some role in principal.roles
	scope in conf.roles[role]
}

holds_any(scopes) if {
	some scope in scopes
	holds(scope)
}

admin if holds_any(conf.admin_scopes)

# Tenants.
tenant_allowed if is_null(tool.tenant)

tenant_allowed if tool.tenant == principal.tenant

tenant_allowed if admin

# A credential for certain tools reaches nothing else, whoever holds it.
bound if is_array(principal.allowed_tools)

outside_allowance if {
	bound
	tool.kind != "tool"
}

outside_allowance if {
	bound
	not tool.name in principal.allowed_tools
}

mine := object.get(conf.tenants, named(principal.tenant), {})

# Grants: an administrator, the role file where there is one, else scopes by the tool's class.
grant := {"rule_id": "admin-scope", "reason": "Admin access granted"} if admin

else := {"rule_id": "role-file", "reason": "A role of the role file allows this tool"} if {
	by_role_file
	file_allows(conf.access)
}

else := {"rule_id": text(["scope-", needs.level]), "reason": needs.reason} if {
	not by_role_file
	holds_any(needs.scopes)
}

# A token for reading the catalogue alone sees what it may not call.
else := {"rule_id": "scope-catalogue", "reason": "Catalogue access granted"} if {
	input.action == "list"
	not by_role_file
	holds_any(conf.list_scopes)
	not holds_any(conf.calling_scopes)
}

granted if {
	grant
	tenant_file_allows
}

lacks_scope := object.union(no("role-file", text(["The role file allows no role of the caller the tool ", tool.name]), text(["Tool ", tool.name, " is not allowed"])), {"missing_scopes": []}) if {
	by_role_file
	not file_allows(conf.access)
}

else := no("tenant-role-file", text(["The tenant's role file allows no role of the caller the tool ", tool.name]), text(["Tool ", tool.name, " is not allowed"])) if not tenant_file_allows

else := object.union(no("requires-admin", text(["Tool ", tool.name, " requires admin scope"]), text(["Tool ", tool.name, " requires admin scope"])), {"missing_scopes": needs.scopes}) if needs.level == "admin"

else := object.union(no("requires-write", text(["Tool ", tool.name, " requires write scope"]), text(["Tool ", tool.name, " requires write scope"])), {"missing_scopes": needs.scopes}) if needs.level == "write"

else := object.union(no("requires-scope", "No valid scope for tool access", "No valid scope for tool access"), {"missing_scopes": needs.scopes})

needs := conf.platform[tool.name] if conf.platform[tool.name]

else := conf.kinds[tool.kind] if tool.kind != "tool"

else := conf.platform_default if is_null(tool.tenant)

else := conf.classes[class]

class := "destructive" if conf.access.tools[tool.name].risk_tier == "high"

else := tool.class

# Role files (the YAML of MCP Gateway). The operator's replaces the scopes of tools that come from APIs; a tenant's must allow as well.
by_role_file if {
	conf.access
	tool.kind == "tool"
	not is_null(tool.tenant)
	not conf.platform[tool.name]
}

file_allows(file) if file.default_action == "allow"

file_allows(file) if {
	not file.workspaces[principal.tenant].allowed
	some role in principal.roles
	matches(file.roles[role])
}

file_allows(file) if {
	matches(file.workspaces[principal.tenant].allowed)
	some role in principal.roles
	file.roles[role]
}

tenant_file_allows if not mine.access

tenant_file_allows if admin

tenant_file_allows if tool.kind != "tool"

tenant_file_allows if is_null(tool.tenant)

tenant_file_allows if file_allows(mine.access)

denied_tool if matches(conf.access.workspaces[principal.tenant].denied)

denied_tool if matches(mine.access.workspaces[principal.tenant].denied)

denied_tool if matches(mine.denied)

lacks_role if {
	some file in [object.get(conf, "access", {}), object.get(mine, "access", {})]
	required := file.tools[tool.name].required_roles
	count(required) > 0
	count([role | some role in required; role in principal.roles]) == 0
	not admin
}

# A matcher is {all: true}, or {names: {name: true}, patterns: [anchored regular expression]}.
matches(matcher) if matcher.all

matches(matcher) if matcher.names[tool.name]

matches(matcher) if {
	some pattern in matcher.patterns
	regex.match(pattern, tool.name)
}

production_restricted if {
	input.environment in conf.production.environments
	restricted_there
	count([role | some role in principal.roles; role in conf.production.exempt_roles]) == 0
}

restricted_there if matches(conf.production.tools)

restricted_there if class in conf.production.classes

# Destructive tools of APIs: off, with confirmation, or on; the stricter of the operator's and the tenant's setting.
modes := {conf.destructive.mode, object.get(mine, "destructive", "allow")}

destructive_mode := "deny" if "deny" in modes

else := "confirm" if "confirm" in modes

else := "allow" if "allow" in modes

destructive if {
	class == "destructive"
	tool.kind == "tool"
	not is_null(tool.tenant)
}

destructive_denied if {
	destructive
	destructive_mode == "deny"
	not admin
	not conf.destructive.break_glass_scope in principal.scopes
}

obligations := [{"kind": "audit", "flag": "break_glass", "level": "verbose"}] if {
	destructive
	destructive_mode == "deny"
	not admin
}

else := [{"kind": "confirm"}] if {
	destructive
	destructive_mode == "confirm"
}

else := [{"kind": "confirm"}] if {
	tool.name in conf.confirm
}

else := []

# Argument rules. `any` is a disjunction of conjunctions of conditions; `always` marks the rule that has none.
rules := array.concat(indexed(conf), indexed(mine))

# `rule_index` (made with the data) leads to the rules that name this tool, and to those that must be matched by pattern.
indexed(from) := [rule | some i in sort(candidates(from.rule_index)); rule := from.rules[i]; matches(rule.tools)] if from.rule_index

indexed(from) := [rule | some rule in object.get(from, "rules", []); matches(rule.tools)] if not from.rule_index

candidates(index) := {i | some i in object.get(index.names, tool.name, [])} | {i | some i in index.rest}

hits(rule) if rule.always

hits(rule) if {
	input.action == "invoke"
	some conjunction in rule.any
	every condition in conjunction {
		met(condition, at(condition.path), rule.action)
	}
}

denying := [rule | some rule in rules; rule.action == "deny"; hits(rule)]

warnings := [{"kind": "warn", "rule_id": rule.id, "message": rule.message} | some rule in rules; rule.action == "warn"; hits(rule)]

# A member that is missing and one that is null are the same.
at(path) := object.get(arguments, path, null)

met(condition, value, _) if {
	condition.op == "eq"
	value == condition.value
}

met(condition, value, _) if {
	condition.op == "ne"
	value != condition.value
}

met(condition, value, _) if {
	condition.op == "in"
	value in condition.value
}

met(condition, value, _) if {
	condition.op == "not_in"
	not value in condition.value
}

met(condition, value, _) if {
	condition.op == "is_null"
	is_null(value)
}

met(condition, value, _) if {
	condition.op == "is_not_null"
	not is_null(value)
}

met(condition, value, _) if {
	comparable(condition.value, size(value))
	ordered(condition.op, size(value), condition.value)
}

met(condition, value, _) if {
	condition.op == "regex"
	is_string(value)
	regex.match(condition.value, value)
}

met(condition, value, _) if {
	condition.op == "contains"
	is_string(value)
	is_string(condition.value)
	contains(value, condition.value)
}

met(condition, value, _) if {
	condition.op == "contains"
	is_array(value)
	condition.value in value
}

# What cannot be compared does not slip past a rule that denies: a number sent as text is refused, not let through.
met(condition, value, "deny") if {
	condition.op in {"gt", "gte", "lt", "lte"}
	not is_null(value)
	not comparable(condition.value, size(value))
}

met(condition, value, "deny") if {
	condition.op == "regex"
	not is_null(value)
	not is_string(value)
}

met(condition, value, "deny") if {
	condition.op == "contains"
	not is_null(value)
	not searchable(condition.value, value)
}

searchable(_, value) if is_array(value)

searchable(wanted, value) if {
	is_string(value)
	is_string(wanted)
}

# An array is compared by its length.
size(value) := count(value) if is_array(value)

size(value) := value if not is_array(value)

comparable(wanted, value) if {
	is_number(wanted)
	is_number(value)
}

comparable(wanted, value) if {
	is_string(wanted)
	is_string(value)
}

ordered("gt", value, bound) if value > bound

ordered("gte", value, bound) if value >= bound

ordered("lt", value, bound) if value < bound

ordered("lte", value, bound) if value <= bound

# Own Rego: package stoa.operator denies for everybody, package stoa.tenant.NAME for that tenant alone. It can only deny.
own_denials := [denial(raw) | some raw in own_raw]

denial(raw) := {
	"rule_id": object.get(raw, "rule_id", "own-rule"),
	"reason": object.get(raw, "reason", "Denied by an own rule"),
	"message": object.get(raw, "message", "No policy allows this call"),
} if is_object(raw)

denial(raw) := {"rule_id": "own-rule", "reason": raw, "message": raw} if is_string(raw)

denial(raw) := {"rule_id": "own-rule", "reason": "Denied by an own rule", "message": "No policy allows this call"} if {
	not is_object(raw)
	not is_string(raw)
}

own_raw contains raw if some raw in data.stoa.operator.deny

own_raw contains raw if some raw in data.stoa.tenant[principal.tenant].deny

varies := conf.own_rego.varies if is_array(conf.own_rego.varies)

else := ["arguments"] if {
	input.action == "invoke"
	some rule in rules
	not rule.always
}

else := []

# What was tried, for explanations: every clause of the verdict in its order and whether it holds, then every argument rule of
# this tool. The first clause that holds has decided.
tried := array.concat([{"rule": id, "holds": id in holding} | some id in order], array.concat(
	[{"rule": denial.rule_id, "holds": true, "own": true} | some denial in own_denials],
	[{"rule": rule.id, "holds": rule in hitting, "action": rule.action} | some rule in rules],
))

order := ["malformed-input", "tenant-isolation", "allowed-tools", "denied-tool", "no-grant", "required-role", "production-restriction", "destructive-off"]

hitting := [rule | some rule in rules; hits(rule)]

holding contains "malformed-input" if not well_formed

holding contains "tenant-isolation" if not tenant_allowed

holding contains "allowed-tools" if outside_allowance

holding contains "denied-tool" if denied_tool

holding contains "no-grant" if not granted

holding contains "required-role" if lacks_role

holding contains "production-restriction" if production_restricted

holding contains "destructive-off" if destructive_denied

# The admin API: a route's roles are data.governance.admin (a route without an entry is nobody's); all roles but the platform's
# are confined to their own tenant. The role is judged first, so that a refusal by role is the same for every tenant.
default administration := {"allow": false, "rule_id": "admin-default-deny", "reason": "Access denied", "status": 403}

administration := {"allow": false, "rule_id": "admin-role", "reason": text(["Access denied: needs one of the roles ", concat(", ", conf.admin[input.route])]), "status": 403} if {
	count(conf.admin[input.route]) > 0
	not admin_role
}

else := {"allow": false, "rule_id": "admin-tenant", "reason": text(["Tenant not found: ", input.tenant]), "status": 404} if {
	admin_role
	is_string(input.tenant)
	not own_or_any_tenant
}

else := {"allow": true, "rule_id": "admin-role", "reason": "A role of the caller may", "status": 200} if {
	admin_role
	own_or_any_tenant
}

admin_role if {
	not bound
	some role in principal.roles
	role in conf.admin[input.route]
}

own_or_any_tenant if is_null(input.tenant)

own_or_any_tenant if input.tenant == principal.tenant

own_or_any_tenant if "cpi-admin" in principal.roles
