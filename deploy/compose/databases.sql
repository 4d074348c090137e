-- Beside "catalog", which the image makes.
CREATE DATABASE users;
CREATE DATABASE activity;
