"""The description of all routes, as OpenAPI 3.1."""

from typing import Any

from lucidbox.core.version import __version__
from lucidbox.explain.methods import QUICK_METHODS
from lucidbox.serve.detecting import ANSWER_FORMATS, YOLO
from lucidbox.serve.explaining import MOST_MASKS
from lucidbox.serve.tensors import INPUTS, OUTPUTS

_Schema = dict[str, Any]

_NUMBER: _Schema = {"type": "number"}
_TEXT: _Schema = {"type": "string"}
_WHOLE: _Schema = {"type": "integer"}
_SHARE: _Schema = {"type": "number", "minimum": 0, "maximum": 1}
_BASE64: _Schema = {"type": "string", "contentEncoding": "base64", "minLength": 4}
_SWITCH: _Schema = {"enum": ["1", "0", "true", "false"]}


def _object(required: _Schema, optional: _Schema | None = None, *, closed: bool = False) -> _Schema:
    schema = {"type": "object", "properties": required | (optional or {}), "required": list(required)}
    return schema | ({"additionalProperties": False} if closed else {})


def _array(items: _Schema, least: int = 0, most: int | None = None) -> _Schema:
    schema = {"type": "array", "items": items} | ({"minItems": least} if least else {})
    return schema if most is None else schema | {"maxItems": most}


def _reference(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_BOX = _array(_NUMBER, 4, 4)
_LIMITS: _Schema = {
    "conf": {**_SHARE, "description": "a score must be greater than this"},
    "iou": {**_SHARE, "description": "overlap with a better box of its class above which a box is dropped"},
    "max_det": {**_WHOLE, "minimum": 1, "maximum": 10**9, "description": "most boxes of a picture"},
    "classes": {**_TEXT, "description": "only these: names or numbers, comma between"},
    "agnostic": {**_SWITCH, "description": "suppress across classes"},
}
_TILES: _Schema = {
    "tiles": {
        **_TEXT,
        "pattern": r"^(auto|[0-9]{2,5}(,[0-9]{2,5})?)$",
        "description": "also look at overlapping tiles: auto, or a tile's side in pixels, or HEIGHT,WIDTH",
    },
    "tile_overlap": {
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 1,
        "description": "share of a tile that the next one has, too; with tiles",
    },
}
_DETECT: _Schema = (
    _LIMITS
    | _TILES
    | {
        "model": {**_TEXT, "description": "name of a model; by default the first"},
        "format": {"enum": [*ANSWER_FORMATS, YOLO], "description": "shape of the answer"},
        "annotate": {
            **_SWITCH,
            "description": "answer with the picture, boxes drawn: JPEG, or PNG where Accept asks",
        },
    }
)
_EXPLAIN: _Schema = {
    "model": _DETECT["model"],
    "conf": _LIMITS["conf"],
    "method": {"enum": list(QUICK_METHODS), "description": "by default the first of the model's methods"},
    "box": {**_WHOLE, "minimum": 1, "maximum": 10**9, "description": "number of the detection; 1 is the best"},
    "at": {**_TEXT, "description": "x1,y1,x2,y2: where something was missed; with class"},
    "class": {**_TEXT, "description": "name of what was missed there"},
    "masks": {**_WHOLE, "minimum": 1, "maximum": MOST_MASKS, "description": "of drise"},
    "heat": {
        "enum": ["png", "npy"],
        "description": "the map as grey PNG, or as array of float32 in NumPy's format",
    },
}
_DETECTION = _object({"box": _BOX, "score": _SHARE, "class": _WHOLE, "label": _TEXT})
_RECORD = _object(
    {
        "source": _TEXT,
        "width": _WHOLE,
        "height": _WHOLE,
        "detections": _array(_reference("Detection")),
        "milliseconds": _NUMBER,
    }
)
_PLAIN = {"type": ["string", "number", "boolean"]}
_PARAMETERS = {"type": "object", "additionalProperties": _PLAIN}
_INSTANCE = {
    "anyOf": [
        _BASE64,
        _object({"b64": _BASE64}),
        _object({"image": {"anyOf": [_BASE64, _object({"b64": _BASE64})]}}),
    ]
}
_SCHEMAS: _Schema = {
    "Detection": _DETECTION,
    "Record": _RECORD,
    "Error": _object({"error": _object({"message": _TEXT, "request_id": _TEXT})}),
    "ProtocolError": _object({"error": _TEXT}),
    "Model": _object(
        {
            "name": _TEXT,
            "architecture": _TEXT,
            "classes": _array(_TEXT),
            "colours": _array(_TEXT),
            "category_ids": _array(_WHOLE),
            "size": _array(_WHOLE, 2, 2),
            "conf": _SHARE,
            "iou": _SHARE,
            "max_det": _WHOLE,
            "engine": _TEXT,
            "precision": _TEXT,
            "explain": {"type": "boolean"},
            "methods": _array(_TEXT),
        }
    ),
    "Explanation": _object(
        {
            "method": _TEXT,
            "layers": _array(_TEXT),
            "detection": _reference("Detection"),
            "heat": _object({"width": _WHOLE, "height": _WHOLE}, {"png": _BASE64, "npy": _BASE64}),
            "figures": {"type": "object"},
            "verdict": _TEXT,
            "words": _array(_TEXT),
        },
        {"near": _array({"type": "object"})},
    ),
    "Instances": _object({"instances": _array(_INSTANCE, 1, 64)}, {"parameters": _PARAMETERS}),
    "InferRequest": _object(
        {
            "inputs": _array(
                _object(
                    {
                        "name": {"enum": [entry["name"] for entry in INPUTS]},
                        "datatype": _TEXT,
                        "shape": _array(_WHOLE),
                    },
                    {"data": {"type": "array"}, "parameters": _PARAMETERS},
                ),
                1,
                1,
            )
        },
        {
            "id": _TEXT,
            "parameters": _PARAMETERS,
            "outputs": _array(
                _object({"name": {"enum": [entry["name"] for entry in OUTPUTS]}}, {"parameters": _PARAMETERS})
            ),
        },
    ),
    "InferResponse": _object(
        {
            "model_name": _TEXT,
            "model_version": _TEXT,
            "outputs": _array(_object({"name": _TEXT, "datatype": _TEXT, "shape": _array(_WHOLE)})),
        },
        {"id": _TEXT},
    ),
    "ModelMetadata": _object(
        {
            "name": _TEXT,
            "versions": _array(_TEXT),
            "platform": _TEXT,
            "inputs": _array({"type": "object"}),
            "outputs": _array({"type": "object"}),
        }
    ),
}

_PICTURE = {"schema": {"type": "string", "format": "binary"}}


def _json(schema: _Schema) -> _Schema:
    return {"application/json": {"schema": schema}}


def _form(fields: _Schema) -> _Schema:
    """What a route that takes pictures takes: a form with files and fields, or one file as it is."""
    file = {"type": "string", "format": "binary"}
    properties = {"file": {"anyOf": [file, _array(file)]}} | fields
    form = {"schema": {"type": "object", "properties": properties, "required": ["file"]}}
    content = {"multipart/form-data": form, "image/jpeg": _PICTURE, "image/png": _PICTURE}
    return {"required": True, "content": content | {"application/octet-stream": _PICTURE}}


def _operation(
    summary: str,
    answer: _Schema,
    *,
    query: _Schema | None = None,
    body: _Schema | None = None,
    kserve: bool = False,
) -> _Schema:
    """One method of a path; every one may end in the same errors."""
    error = _json(_reference("ProtocolError" if kserve else "Error"))
    parameters = [
        {"name": name, "in": "query", "schema": schema, "required": False}
        for name, schema in (query or {}).items()
    ]
    made: _Schema = {
        "summary": summary,
        "responses": {
            "200": {"description": "the answer", "content": answer},
            "4XX": {"description": "the request is refused, and says why", "content": error},
            "503": {"description": "not in time, or being stopped", "content": error},
        },
    }
    return made | ({"parameters": parameters} if parameters else {}) | ({"requestBody": body} if body else {})


def _paths() -> _Schema:
    text = {"text/plain": {"schema": _TEXT}}
    picture = {"image/jpeg": _PICTURE, "image/png": _PICTURE}
    records = {"anyOf": [_reference("Record"), {"type": "object"}, {"type": "array"}]}
    models = _object(
        {
            "models": _array(_reference("Model")),
            "default": _TEXT,
            "version": _TEXT,
            "max_bytes": _WHOLE,
            "examples": _array(_TEXT),
        }
    )
    instances = {"required": True, "content": _json(_reference("Instances"))}
    ready = _json(_object({"name": _TEXT, "ready": {"type": "boolean"}}))
    predictions = _json(_object({"predictions": _array(_reference("Record"))}))
    explanations = _json(_object({"explanations": _array(_reference("Explanation"))}))
    detect = _operation(
        "Detections in pictures",
        _json(records) | text | picture,
        query=_DETECT,
        body=_form(_DETECT),
    )
    explain = _operation(
        "Why a box is there, or why none is",
        _json(_reference("Explanation")) | {"image/png": _PICTURE},
        query=_EXPLAIN,
        body=_form(_EXPLAIN),
    )
    paths: _Schema = {
        "/v1/models": {"get": _operation("What is served", _json(models))},
        "/v1/detect": {"post": detect},
        "/v1/explain": {"post": explain},
        "/v1/models/{name}": {"get": _operation("KServe V1: readiness", ready)},
        "/v1/models/{name}:predict": {
            "post": _operation("KServe V1: detections", predictions, query=_LIMITS, body=instances, kserve=True)
        },
        "/v1/models/{name}:explain": {
            "post": _operation("KServe V1: explanations", explanations, body=instances, kserve=True)
        },
        "/v2": {"get": _operation("Open Inference Protocol: the server", _json({"type": "object"}), kserve=True)},
        "/v2/health/live": {"get": _operation("Does it run", _json({"type": "object"}), kserve=True)},
        "/v2/health/ready": {"get": _operation("Does it take requests", _json({"type": "object"}), kserve=True)},
        "/v2/models": {"get": _operation("Names of models", _json({"type": "object"}), kserve=True)},
        "/metrics": {"get": _operation("Counters, for Prometheus", {"text/plain": {"schema": _TEXT}})},
        "/openapi.json": {"get": _operation("This description", _json({"type": "object"}))},
    }
    for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        paths |= _inference_paths(model, ready)
    for path, item in paths.items():
        item["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": _TEXT}
            for name in ("name", "version")
            if f"{{{name}}}" in path
        ]
    return paths


def _inference_paths(model: str, ready: _Schema) -> _Schema:
    """The Open Inference Protocol's routes of one model."""
    binary = {"application/octet-stream": _PICTURE}
    body = {"required": True, "content": _json(_reference("InferRequest")) | binary}
    answer = _json(_reference("InferResponse")) | binary
    infer = _operation("Detections as tensors", answer, body=body, kserve=True)
    length = {
        "name": "Inference-Header-Content-Length",
        "in": "header",
        "schema": {"type": "string", "pattern": "^[0-9]{1,11}$"},
    }
    infer["parameters"] = [length | {"description": "length of the JSON before binary data"}]
    return {
        model: {"get": _operation("Inputs and outputs", _json(_reference("ModelMetadata")), kserve=True)},
        f"{model}/ready": {"get": _operation("Does it take requests", ready, kserve=True)},
        f"{model}/infer": {"post": infer},
    }


def openapi(with_key: bool) -> _Schema:
    """The whole description.

    Args:
        with_key: whether clients need a key.
    """
    document: _Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "lucidbox",
            "version": __version__,
            "summary": "Object detection: boxes, and why they are there.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "components": {"schemas": _SCHEMAS},
    }
    if with_key:
        schemes = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        document["components"]["securitySchemes"] = schemes
        document["security"] = [{"bearer": []}, {"header": []}]
    return document
