/** Names of variables whose value is a secret. */
export const secretName =
  /(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|HMAC_KEY|(?:PRIVATE|SECRET|ACCESS)_KEY|(?:^|_)PASS|^ALERT_URL)$/i;

/** Options of Odoo's command line that take a password. */
export const passwordFlag = /^(?:--db[_-]password|--smtp-password|-w)$/;
