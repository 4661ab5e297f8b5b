"""A GraphQL server that shares no code with the product: ariadne on uvicorn. Prints its port."""
import socket
import sys
import uvicorn
from ariadne import InterfaceType, MutationType, QueryType, ScalarType, UnionType, make_executable_schema
from ariadne.asgi import GraphQL
from graphql import GraphQLError

TYPES = """
  scalar Cents
  enum Size { S M L }
  input Filter { name: String, sizes: [Size!] }
  interface Node { id: ID! }
  type Owner implements Node { id: ID!  name: String!  pets: [Pet!]! }
  type Pet implements Node { id: ID!  name: String!  size: Size  price: Cents  owner: Owner }
  type Toy implements Node { id: ID!  label: String }
  union Thing = Pet | Toy
  type Query { pet(id: ID!): Pet  pets(filter: Filter, first: Int = 10): [Pet!]!  things: [Thing!]!  node(id: ID!): Node  broken: Pet  echo(text: String!, number: Float): String! }
  type Mutation { addPet(name: String!, size: Size): Pet!  deletePet(id: ID!): Boolean! }
"""
OWNER = {"id": "o1", "name": "Ada 🐕"}
PETS = {str(i): {"id": str(i), "name": f"Pet {i}", "size": "SML"[i % 3], "price": 9007199254740993 + i, "owner": OWNER} for i in range(1, 4)}
OWNER["pets"] = list(PETS.values())
query, mutation, cents = QueryType(), MutationType(), ScalarType("Cents")
thing = UnionType("Thing", lambda value, *_: "Toy" if "label" in value else "Pet")
node = InterfaceType("Node", lambda value, *_: "Owner" if "pets" in value else "Pet")


@query.field("pet")
def pet(*_, id): return PETS.get(id)
@query.field("pets")
def pets(*_, filter=None, first=10):
    wanted = (filter or {}).get("sizes")
    return [one for one in PETS.values() if wanted is None or one["size"] in wanted][:first]
@query.field("things")
def things(*_): return [PETS["1"], {"id": "t", "label": None}]
@query.field("node")
def get_node(*_, id): return PETS.get(id) or (OWNER if id == "o1" else None)
@query.field("broken")
def broken(*_): raise GraphQLError("the shelf is away", extensions={"code": "AWAY"})
@query.field("echo")
def echo(*_, text, number=None): return text if number is None else f"{text} {number}"
@mutation.field("addPet")
def add_pet(*_, name, size=None):
    made = {"id": str(len(PETS) + 1), "name": name, "size": size, "price": None, "owner": None}
    PETS[made["id"]] = made
    return made
@mutation.field("deletePet")
def delete_pet(*_, id): return PETS.pop(id, None) is not None


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
app = GraphQL(make_executable_schema(TYPES, query, mutation, cents, thing, node, convert_names_case=False), introspection="--no-introspection" not in sys.argv)
uvicorn.Server(uvicorn.Config(app, log_level="critical")).run(sockets=[listener])
