"""The fields that docs/COMPATIBILITY.md has rows for are those of the API server."""

import json

import pytest

import pod_fields


@pytest.mark.submission("a new version of Kubernetes brings fields that nobody has thought of; a second")
def test_the_list_of_fields_is_the_api_servers(cluster):
    schemas = json.loads(cluster.out("get", "--raw", "/openapi/v3/api/v1"))["components"]["schemas"]
    for name, fields in pod_fields.known().items():
        assert set(schemas[f"io.k8s.api.core.v1.{name}"]["properties"]) == fields, name
