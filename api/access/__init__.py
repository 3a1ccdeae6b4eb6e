"""Who calls: keys and tokens in headers, sessions in cookies, sign-in on the pages."""
