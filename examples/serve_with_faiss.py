"""A service that answers with the nearest items, by FAISS. It needs what `spfedrec export --format hnsw,npy` wrote.

    python examples/serve_with_faiss.py exported --customer ID
    python examples/serve_with_faiss.py exported --port 8000
    curl 'http://127.0.0.1:8000/?customer=ID&k=5'
    curl --data '{"query": [0.1, …], "k": 5}' http://127.0.0.1:8000/

It knows the embeddings of customers, which tell of their purchases. With --data a device sends its own query embedding
instead, which tells of them too: `spfedrec device` ranks without any service.
"""

import argparse
import json
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import faiss
import numpy as np

Answer = dict[str, Any]


@dataclass
class Service:
    index: Any  # of FAISS: it takes queries and gives places
    items: list[str]  # the ids in the order of the places
    clients: np.ndarray  # (n, d), on disk
    places: dict[str, int]  # of the customers

    def of_customer(self, customer: str, k: int) -> Answer:
        if customer not in self.places:
            return {"error": f"there is no customer {customer!r}"}
        return {"customer_id": customer, **self.of_query(self.clients[self.places[customer]], k)}

    def of_query(self, query: Any, k: int) -> Answer:
        vector = np.asarray(query, np.float32).reshape(1, -1)
        if vector.shape[1] != self.index.d:
            return {"error": f"a query has {self.index.d} numbers, and this one {vector.shape[1]}"}
        scores, places = self.index.search(vector, k)
        found = [(int(place), float(score)) for place, score in zip(places[0], scores[0], strict=True) if place >= 0]
        return {"items": [{"article_id": self.items[place], "score": score} for place, score in found]}


def opened(folder: Path) -> Service:
    graph, exact = folder / "items.hnsw.faiss", folder / "items.faiss"
    file = graph if graph.exists() else exact
    items = json.loads((folder / f"{file.name}.ids.json").read_text(encoding="utf-8"))
    clients = np.load(folder / "clients.npy", mmap_mode="r")
    ids = [id.decode() for id in np.load(folder / "clients.ids.npy").tolist()]
    return Service(faiss.read_index(str(file)), items, clients, {id: place for place, id in enumerate(ids)})


def handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            self.answer(lambda: service.of_customer(asked["customer"][0], int(asked.get("k", ["12"])[0])))

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
            self.answer(lambda: service.of_query(asked["query"], int(asked.get("k", 12))))

        def answer(self, ask: Any) -> None:
            try:
                found = ask()
            except (KeyError, TypeError, ValueError) as error:
                found = {"error": f"ask for customer or query, and k: {error}"}
            body = json.dumps(found).encode()
            self.send_response(400 if "error" in found else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *words: Any) -> None:
            """Who asks for what is written nowhere."""

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--customer")
    parser.add_argument("-k", type=int, default=12)
    parser.add_argument("--port", type=int, default=8000)
    asked = parser.parse_args()
    service = opened(asked.folder)
    if asked.customer:
        print(json.dumps(service.of_customer(asked.customer, asked.k), indent=2))
        return
    with ThreadingHTTPServer(("127.0.0.1", asked.port), handler(service)) as server:
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
