import type { PeerPlace } from "./peers.ts";

export interface OdooPorts {
  readonly web: number;
  readonly bus: number;
}

function nginxFile({ folder }: PeerPlace, inHttp: string): string {
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(" ");
  return `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log crit;
events { worker_connections 256; }
http { access_log off; ${temp}
${inHttp} }
`;
}

const guideHeaders = [
  `X-Frame-Options "SAMEORIGIN"`,
  `X-Content-Type-Options "nosniff"`,
  `X-XSS-Protection "1; mode=block"`,
  `Strict-Transport-Security "max-age=31536000; includeSubDomains; preload"`,
  `Referrer-Policy "strict-origin-when-cross-origin"`,
  `Permissions-Policy "camera=(), microphone=(), geolocation=(), payment=()"`,
  `Content-Security-Policy "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'self';"`,
];

const guideCiphers =
  "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384";

/** nginx as the nginx + fail2ban guide sets it up: its TLS values, headers, limits, locations and proxy fields. Stapling needs the internet and is left out. */
export function guideNginx(place: PeerPlace, odoo: OdooPorts): string {
  const proxy = (port: number) => `proxy_pass http://127.0.0.1:${port};
proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host; proxy_redirect off; proxy_buffering off;
proxy_read_timeout 720s; proxy_connect_timeout 720s; proxy_send_timeout 720s;`;
  return nginxFile(
    place,
    `limit_req_zone $binary_remote_addr zone=odoo_login:10m rate=5r/m;
limit_req_zone $binary_remote_addr zone=odoo_api:10m rate=30r/s;
limit_req_zone $binary_remote_addr zone=odoo_global:10m rate=100r/s;
client_max_body_size 64m; client_body_timeout 30s; client_header_timeout 30s; keepalive_timeout 30s; send_timeout 30s;
server { listen 127.0.0.1:${place.httpPort}; server_name odoo.test; return 301 https://odoo.test:${place.httpsPort}$request_uri; }
server { listen 127.0.0.1:${place.httpsPort} ssl; server_name odoo.test;
ssl_certificate ${place.certFile}; ssl_certificate_key ${place.keyFile};
ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ${guideCiphers}; ssl_prefer_server_ciphers off;
ssl_session_timeout 1d; ssl_session_cache shared:MozSSL:10m; ssl_session_tickets off;
${guideHeaders.map((header) => `add_header ${header} always;`).join("\n")}
server_tokens off;
location ~* ^/web/database/ { allow 127.0.0.1; deny all; }
location = /web/database/backup { allow 127.0.0.1; deny all; }
location = /web/database/restore { allow 127.0.0.1; deny all; }
location = /web/login { limit_req zone=odoo_login burst=3 nodelay; limit_req_status 429; ${proxy(odoo.web)} }
location ~* ^/xmlrpc/ { limit_req zone=odoo_api burst=20 nodelay; limit_req_status 429; ${proxy(odoo.web)} }
location ~* ^/web/dataset/ { limit_req zone=odoo_api burst=50 nodelay; ${proxy(odoo.web)} }
location /longpolling/ { ${proxy(odoo.bus)} }
location ~* \\.(js|css|png|jpg|jpeg|gif|ico|svg|woff|woff2|ttf|eot)$ { ${proxy(odoo.web)} expires 30d; add_header Cache-Control "public, immutable"; }
location / { limit_req zone=odoo_global burst=100 nodelay; ${proxy(odoo.web)} }
}`,
  );
}

/** nginx as Odoo's own deployment page sets it up today: /websocket routed, the session cookie flagged, HSTS, gzip. */
export function documentationNginx(place: PeerPlace, odoo: OdooPorts): string {
  const fields = `proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Real-IP $remote_addr;`;
  return nginxFile(
    place,
    `map $http_upgrade $connection_upgrade { default upgrade; '' close; }
server { listen 127.0.0.1:${place.httpPort}; server_name odoo.test; rewrite ^(.*) https://$host:${place.httpsPort}$1 permanent; }
server { listen 127.0.0.1:${place.httpsPort} ssl; server_name odoo.test;
ssl_certificate ${place.certFile}; ssl_certificate_key ${place.keyFile}; ssl_session_timeout 30m;
ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256; ssl_prefer_server_ciphers off;
proxy_read_timeout 720s; proxy_connect_timeout 720s; proxy_send_timeout 720s;
location /websocket { proxy_pass http://127.0.0.1:${odoo.bus}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection $connection_upgrade; ${fields}
add_header Strict-Transport-Security "max-age=31536000; includeSubDomains"; proxy_cookie_flags session_id samesite=lax secure; }
location / { ${fields} proxy_redirect off; proxy_pass http://127.0.0.1:${odoo.web};
add_header Strict-Transport-Security "max-age=31536000; includeSubDomains"; proxy_cookie_flags session_id samesite=lax secure; }
gzip_types text/css text/scss text/plain text/xml application/xml application/json application/javascript; gzip on;
}`,
  );
}

/** Caddy with nothing but a name and reverse_proxy, as its documentation begins. */
export function plainCaddy(place: PeerPlace, odoo: OdooPorts): string {
  return `{
  admin off
  auto_https disable_certs
  http_port ${place.httpPort}
  https_port ${place.httpsPort}
}
odoo.test {
  bind 127.0.0.1
  tls ${place.certFile} ${place.keyFile}
  reverse_proxy 127.0.0.1:${odoo.web}
}
`;
}
