/**
 * How to make browsers and programs of one machine trust the local authority, one line each.
 * `site` is where curl would try it; `caPath` is quoted for the shell of the system it stands beside.
 */
export function howToTrust(caPath: string, site = "https://localhost:8443"): string[] {
  const posix = `'${caPath.replaceAll("'", "'\\''")}'`;
  const windows = `"${caPath.replaceAll('"', "")}"`;
  return [
    `Debian, Ubuntu:  sudo cp ${posix} /usr/local/share/ca-certificates/odoo-gateway-local-ca.crt && sudo update-ca-certificates`,
    `Chromium on Linux:  certutil -d sql:"$HOME/.pki/nssdb" -A -t C,, -n odoo-gateway-local-ca -i ${posix}   (package libnss3-tools)`,
    `macOS:  sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ${posix}`,
    `Windows, as administrator:  certutil -addstore -f Root ${windows}`,
    `Firefox:  Settings, Privacy & Security, View Certificates, Authorities, Import: ${caPath}`,
    `curl, one call:  curl --cacert ${posix} ${site}/`,
  ];
}
