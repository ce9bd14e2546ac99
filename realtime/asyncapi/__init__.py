"""The description of the sockets as an AsyncAPI document, as types for TypeScript, and as a page.

`document` makes the document of the structs in `protocol`; everything else is made of it. Called by the command
`asyncapi` and by `api.socket_docs`; apps and sites add to it with `contributions`.
"""
