"""The pages kit: what every page process of ours does around its own pages. Knows no domain.

Log in with a one-time token, sessions, Host/Origin/CSRF checks, security headers, languages, layout, live updates over
server-sent events, and running the server on loopback. Start reading at `application.create`, then `guard`.
"""
